import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const POM = join(import.meta.dirname, 'kafka-tools.pom.xml');
const LIB = join(import.meta.dirname, '../../.cache/kafka-tools');

const TOOLS = {
  topics: 'org.apache.kafka.tools.TopicCommand',
  offsets: 'org.apache.kafka.tools.GetOffsetShell',
  produce: 'org.apache.kafka.tools.ConsoleProducer',
  consume: 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  perf: 'org.apache.kafka.tools.ProducerPerformance',
} as const;

/** Fetches the jars with Maven when they are not there yet. */
export async function installKafkaTools(): Promise<void> {
  if (existsSync(LIB)) return;
  const goal = 'dependency:copy-dependencies';
  await run('mvn', ['-q', '-B', '-f', POM, goal, '-DincludeScope=runtime', `-DoutputDirectory=${LIB}`]);
}

/** One of the tools of Apache Kafka, with its standard input; gives what it printed. */
export async function kafkaTool(tool: keyof typeof TOOLS, words: readonly string[], input = ''): Promise<string> {
  const child = spawn('java', ['-Xmx256m', '-cp', join(LIB, '*'), TOOLS[tool], ...words], { stdio: 'pipe' });
  const printed: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => printed.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => printed.push(text));
  child.stdin.end(input);
  const timeout = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const [code] = await once(child, 'close');
  clearTimeout(timeout);
  if (code !== 0) throw new Error(`${tool} ended with ${code}: ${printed.join('').slice(-2000)}`);
  return printed.join('');
}
