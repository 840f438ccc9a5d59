/** What an error code means and what to do: the source of docs/errors.md and of `robust-server explain`. */
export interface Explanation {
  readonly means: string;
  readonly todo: string;
}

const NONE = 'Nothing was applied';

export const ERRORS: Readonly<Record<string, Explanation>> = {
  // configuration
  CONFIG_NOT_FOUND: {
    means: 'The configuration file named with -c is not there.',
    todo: 'Check the path, or write a file to start from with `robust-server config init`. A single node needs no file.',
  },
  CONFIG_UNREADABLE: {
    means: 'The configuration file is there but can not be read.',
    todo: 'Give the user of the server the right to read it; a directory, a pipe or a device is no file.',
  },
  CONFIG_TOO_LARGE: {
    means: 'The configuration file is larger than 1 MiB.',
    todo: 'It is probably the wrong file: look at what -c names.',
  },
  CONFIG_ENCODING: { means: 'The configuration file is not UTF-8 text.', todo: 'Save it as UTF-8.' },
  CONFIG_SYNTAX: {
    means: 'The file is not valid YAML at the line and column in the message.',
    todo: 'Look there for a missing bracket, quote or space behind a colon; indent with spaces.',
  },
  CONFIG_DUPLICATE_KEY: {
    means: 'A key stands twice in one map, so that one of the two would be lost.',
    todo: 'Keep one of the two.',
  },
  CONFIG_TOO_COMPLEX: {
    means: 'The file is nested too deeply, or its aliases stand for more than 20,000 values.',
    todo: 'Use fewer anchors and aliases, and fewer levels.',
  },
  CONFIG_OVERRIDE: {
    means: 'A --set flag or an environment variable can not be understood.',
    todo: 'Write --set path=value, for example --set brokers.kafka.port=9093; lists are reached with topics[0].engine.',
  },
  CONFIG_UNKNOWN_KEY: {
    means: 'There is no setting of this name at this place.',
    todo: 'Take the suggestion in the message; `robust-server config print` shows all settings, docs/settings.md explains them.',
  },
  CONFIG_MISSING: { means: 'A setting that has no default is not there.', todo: 'Add it where the message points.' },
  CONFIG_TYPE: {
    means: 'The value is of the wrong kind: a text where a number belongs, for instance.',
    todo: 'Write a value of the kind that the message asks for; units look like 10m and 128MiB.',
  },
  CONFIG_VALUE: {
    means: 'The value is of the right kind but not allowed: out of range, or not one of the choices.',
    todo: 'Choose one that the message allows.',
  },
  CONFIG_ENGINE_UNKNOWN: {
    means: 'A topic rule or the default names an engine instance that the section `engines` does not have.',
    todo: 'Name one of those there, or add the instance. `local` and `memory` are always there.',
  },
  // plug-ins
  PLUGIN_NOT_FOUND: {
    means: 'No engine or broker was found under this name. The message lists the places that were tried.',
    todo: 'Install the package where the configuration file is, or name a path that begins with ./',
  },
  PLUGIN_LOAD_FAILED: {
    means: 'The plug-in was found but threw an error when it was imported, or its import never ends.',
    todo: 'Read the reason in the message: often a dependency of the plug-in is not installed.',
  },
  PLUGIN_NO_EXPORT: {
    means: 'The module has no default export that is a plug-in.',
    todo: 'Its author must write `export default defineEngine({...})` (or defineBroker).',
  },
  PLUGIN_INVALID: {
    means: 'A field of the plug-in is missing or wrong; the message says which.',
    todo: 'Upgrade the plug-in or tell its author.',
  },
  PLUGIN_API_VERSION: {
    means: 'The plug-in was written for another version of the contract than this server serves.',
    todo: 'Upgrade whichever of the two is older.',
  },
  PLUGIN_NAME_CLASH: {
    means: 'Two plug-ins have the same name, or one has the name of a plug-in that comes with the server.',
    todo: 'Use only one of them, or have one renamed.',
  },
  // the node
  DATA_FOREIGN: {
    means: 'The data directory has files in it and is not one of RobustMQ.',
    todo: 'Name an empty or new directory. If it was one of ours, its file FORMAT was removed: restore it.',
  },
  DATA_UNUSABLE: {
    means: 'The data directory can not be made, read or written.',
    todo: 'Check the rights and the disk, or choose another directory with --data.',
  },
  DIRECTORY_LOCKED: {
    means: 'Another process, or another engine instance, uses this directory.',
    todo: 'Stop the other node, or give each node and each instance a directory of its own.',
  },
  FORMAT_TOO_NEW: {
    means: 'The data was written by a newer version.',
    todo: 'Start that version. Older versions never change data that they do not know.',
  },
  INSTANCE_CHANGED: {
    means:
      'An engine instance found another medium than the one that holds its data: another directory, or a wiped disk.',
    todo: 'Point the instance at the old place again, or give a new place a new instance name.',
  },
  STORE_UNAVAILABLE: {
    means: 'The store behind an engine (S3, MinIO ...) does not answer, answers too late, or asks for fewer requests.',
    todo: 'Check that it runs and can be reached. What was acknowledged is in it; appends go on by themselves once it is back.',
  },
  STORE_DENIED: {
    means:
      'The store behind an engine refuses the credentials: none, unknown, expired, without a right that is needed, or by a clock that is wrong.',
    todo: 'The message names the request and what is missing. It goes on by itself once the store accepts the credentials; those that stand in the configuration itself are read at a start.',
  },
  STORE_MISCONFIGURED: {
    means:
      'The store behind an engine can not do what is asked with these settings: no such bucket, another region, a request it does not know.',
    todo: 'Correct the settings of the instance that the message names.',
  },
  PORT_IN_USE: {
    means: 'Another program has the port. The message names the setting.',
    todo: 'Stop the other program, or choose another port; 0 takes a free one.',
  },
  BIND_FAILED: {
    means: 'The address and port can not be bound: not an address of this machine, or a port that needs more rights.',
    todo: 'Correct the setting that the message names.',
  },
  MAPPING_INVALID: {
    means: 'A rule that maps MQTT topic names to topics is wrong; the message says which one.',
    todo: 'Correct it under brokers.mqtt in the configuration.',
  },
  TENANT_UNKNOWN: {
    means: 'There is no such tenant. Only `default` exists so far.',
    todo: 'Use the tenant `default`.',
  },
  KAFKA_FRAME_INVALID: {
    means: 'What a client sent to the Kafka port has no valid length. Its connection is closed.',
    todo: 'Is it a Kafka client? A larger request than maxRequestBytes gives this, too.',
  },
  KAFKA_REQUEST_INVALID: {
    means: 'What a client sent to the Kafka port is not the request it says it is. Its connection is closed.',
    todo: 'Check the client: it must stay with the versions that ApiVersions lists.',
  },
  MQTT_MALFORMED: {
    means: 'What a client sent to the MQTT port is no MQTT packet. Its connection is closed.',
    todo: 'Check the client; the message names the rule of the specification.',
  },
  MQTT_PROTOCOL: {
    means: 'An MQTT client sent a packet that must not come, not now, or not so. Its connection is closed.',
    todo: 'Check the client; the message names the rule of the specification.',
  },
  MQTT_REFUSED: {
    means: 'A CONNECT was refused.',
    todo: 'The reason code in the CONNACK says why.',
  },
  NODE_STARTING: {
    means: 'The node answers but is not yet ready; the detail names what it is opening.',
    todo: 'Try again in a moment.',
  },
  NODE_DRAINING: { means: 'The node is stopping.', todo: 'Use another node, or wait until it is back.' },
  NODE_FAILED: {
    means: 'Something happened that the node can not heal by itself; it stops.',
    todo: 'Read the log. A supervisor should start the node again: what was acknowledged is kept.',
  },
  START_INTERRUPTED: {
    means: 'The node was told to stop before it had started; the message names what it was opening.',
    todo: 'Nothing, if you meant it. If that step never ends, look at the plug-in or the disk behind it.',
  },
  ENGINE_UNHEALTHY: {
    means: 'An engine instance reports that it can not work.',
    todo: 'Read the detail: `robust-server status` and /readyz?verbose show it.',
  },
  LOOP_STUCK: {
    means: 'A background loop has made no progress for too long.',
    todo: 'Read the log for its errors; if nothing heals it, start the node again and report it.',
  },
  // command line and Admin HTTP
  USAGE: { means: 'The command line is wrong.', todo: 'Add --help to the verb.' },
  ADMIN_UNREACHABLE: {
    means: 'No node answers at the admin address.',
    todo: 'Start a node, or name its address with --admin URL.',
  },
  FILE_NOT_WRITTEN: { means: 'A file that a command should write was not written.', todo: 'Name another file.' },
  NOT_FOUND: { means: 'The Admin HTTP has no such path.', todo: 'GET /openapi.json lists what there is.' },
  REQUEST_INVALID: {
    means: 'A request to the Admin HTTP is malformed: no JSON, too large, or with fields that are wrong.',
    todo: 'Compare it with /openapi.json.',
  },
  HOST_NOT_ALLOWED: {
    means:
      'A request came in under a host name, while the Admin HTTP is bound to loopback. It may come from a web page.',
    todo: 'Use http://127.0.0.1 or http://localhost as the address.',
  },
  NOT_AUTHORIZED: { means: 'The one who asks may not do that.', todo: 'Ask somebody who may to grant it.' },
  INTERNAL: {
    means: 'An error that nobody expected: a bug.',
    todo: 'Look into the log of the node and report what you find.',
  },
  // requests to the storage
  INVALID_ARGUMENT: { means: `An argument is out of its bounds. ${NONE}.`, todo: 'Correct the call.' },
  NOT_SUPPORTED: {
    means: 'The engine does not do this, and says so in its capabilities.',
    todo: 'Choose an engine that does: `robust-server engines ls` lists what each claims.',
  },
  BATCH_INVALID: {
    means: `The bytes are no valid record batch: wrong shape, length or checksum. ${NONE}.`,
    todo: 'The client or the network damaged it: send it again; if it stays, upgrade the client.',
  },
  BATCH_TOO_LARGE: {
    means: `A batch is larger than the topic or its engine takes. ${NONE}.`,
    todo: 'Send smaller batches, or raise maxMessageBytes of the topic.',
  },
  OFFSET_MISMATCH: {
    means: `An append did not begin at the end of the segment. ${NONE}.`,
    todo: 'Only engines and their tests see it: append at the end.',
  },
  OFFSET_TRIMMED: {
    means: 'The offset lies before the first record that is kept.',
    todo: 'Go on from the start that the error carries; raise the retention if it matters.',
  },
  OFFSET_BEYOND_END: {
    means: 'The offset lies behind the last record.',
    todo: 'Go on from the end that the error carries. After an unclean loss of a memory topic that is normal.',
  },
  SEGMENT_EXISTS: { means: 'A segment of this id is there already.', todo: 'Take a new id: ids are used once.' },
  SEGMENT_SEALED: {
    means: 'The segment is sealed and takes no more appends.',
    todo: 'Core opens the next one by itself.',
  },
  SEGMENT_NOT_SEALED: {
    means: 'The segment is still being written; only its writer reads it.',
    todo: 'Recover it first, or read through the writer.',
  },
  SEGMENT_UNKNOWN: {
    means: 'The engine certainly never had this segment, or it was deleted.',
    todo: 'Readers look up the chain again by themselves; if it stays, the Meta and the engine belong to different data.',
  },
  SEGMENT_LOST: {
    means: 'The engine had this segment, or may have had it, and it is gone.',
    todo: 'Restore the medium. What is lost stays lost, and its offsets are never used again.',
  },
  SEGMENT_MUST_ROLL: { means: 'The engine wants a new segment.', todo: 'Core opens one by itself and goes on.' },
  CORRUPT: {
    means: 'Stored data is damaged below a point that was proven to be complete. It is not cut off silently.',
    todo: 'Check the disk; restore the file named in the message from a copy. The rest of the node goes on.',
  },
  DISK_FULL: {
    means: `The disk has too little room: the append was refused before it began, or the node could not start. ${NONE}.`,
    todo: 'Free space or lower the retention: the node goes on by itself as soon as there is room. Clients may try again.',
  },
  BACKPRESSURE: {
    means: `Too much is in flight to this shard. ${NONE}.`,
    todo: 'Wait until earlier appends are acknowledged, then send again.',
  },
  FENCED: {
    means: 'Another owner has taken over this segment.',
    todo: 'Core finds out by itself what was applied. A client asks for the metadata again.',
  },
  WRITER_FAILED: {
    means: 'The writer of a segment has failed; the append may or may not have been applied.',
    todo: 'An idempotent producer may send again without making duplicates.',
  },
  IO_ERROR: {
    means: 'The disk or the store reported an error; the append may or may not have been applied.',
    todo: 'Check the disk. Core goes on in a new segment.',
  },
  TIMEOUT: {
    means: 'It took too long; the operation may still be applied.',
    todo: 'An idempotent producer may send again. If it happens often, the disk is too slow for the load.',
  },
  ABORTED: { means: 'The caller took the operation back.', todo: 'Nothing.' },
  CLOSED: {
    means: `The node or the engine is closing. ${NONE}, unless the error says \`outcome: unknown\`: then the append was on its way already.`,
    todo: 'Try again when it is back.',
  },
  NOT_OWNER: { means: `Another node owns this shard. ${NONE}.`, todo: 'Ask for the metadata again.' },
  NODE_DOWN: {
    means: 'The node that holds this shard is down, and its engine keeps data on that node only.',
    todo: 'Start that node.',
  },
  ARCHIVE_EMPTY: {
    means: 'The store of the archive was read, and holds no manifest of this cluster.',
    todo: 'Look at endpoint, bucket and prefix of the instance, and name the cluster with --cluster if the store holds several. A cluster writes its first manifest within a minute after it has archived something.',
  },
  RESTORE_UNFINISHED: {
    means: '`archive restore` was interrupted in this data directory: some topics are there, others are not.',
    todo: 'Run the same command again, it goes on where it was; or begin with an empty data directory. A node does not start meanwhile.',
  },
  TOPIC_UNKNOWN: { means: 'There is no topic of this name.', todo: 'Create it, or switch autoCreateTopics on.' },
  TOPIC_EXISTS: { means: 'A topic of this name is there already.', todo: 'Take another name, or alter it.' },
  TOPIC_INVALID: {
    means: 'The name of a topic or one of its settings is not allowed; the message says which.',
    todo: 'Names have letters, digits, dots, _ and -, at most 249; docs/topics.md lists the settings.',
  },
  SHARD_UNKNOWN: {
    means: 'The topic has no shard of this number.',
    todo: 'Numbers go from 0 to one below the shard count.',
  },
  ENGINE_UNKNOWN: {
    means: 'No engine instance of this name is configured.',
    todo: '`robust-server engines ls` lists those that are.',
  },
  WEAKER_DURABILITY: {
    means: 'The topic would move to an engine that promises less than the one it has.',
    todo: 'If that is meant, say so with --allow-weaker-durability.',
  },
  SEQUENCE_GAP: {
    means: `An idempotent producer skipped a sequence number: a batch before this one is missing. ${NONE}.`,
    todo: 'Clients handle it: they send the missing batch first, or begin with a new producer id.',
  },
  PRODUCER_FENCED: {
    means: `A newer instance of this producer has taken its place. ${NONE}.`,
    todo: 'Stop the older one.',
  },
  // Meta
  META_GUARD_FAILED: {
    means: 'Somebody else changed the same metadata at the same time.',
    todo: 'Try again.',
  },
  META_LIMIT: { means: 'A change of metadata is too large.', todo: 'Split it; names and settings must stay small.' },
  META_COMPACTED: {
    means: 'The changes since that point are no longer kept one by one.',
    todo: 'Whoever watches reads the whole state again, by itself.',
  },
  META_UNAVAILABLE: {
    means: 'The Meta Service did not answer; the change may or may not have been applied.',
    todo: 'Try again; look into the log of the node if it stays.',
  },
};
