import { conformance } from '@robustmq/conformance';
import { describe, it } from 'vitest';
import { imageEngine } from './image-engine.ts';

/** What a reader of images gives passes core's guard, and keeps what the contract says of readers and copies. */
conformance({ describe, it, engine: imageEngine });
