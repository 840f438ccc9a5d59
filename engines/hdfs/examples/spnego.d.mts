export default function authorize(request: {
  readonly method: string;
  readonly url: string;
}): Promise<Readonly<Record<string, string>>>;
