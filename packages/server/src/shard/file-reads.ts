// file-reads.ts: contents of files. The row is looked at in a turn; the bytes are read from the bulk store once that is durable.
//   R1. A read never mixes what was before an undo with what came after: it starts again when the file was cut meanwhile.
import { ForelockError, type ReadFileRequest, type ReadRecordsRequest, type Reply } from "@forelock/protocol";
import type { PartitionState } from "../partition/state.ts";
import { errorMessage, errorReply } from "./answers.ts";
import type { Node } from "./node.ts";

/** Leaves room in a frame for its other fields. */
const READ_BYTES_MAX = 512 * 1024;
const RECORDS_MAX = 10_000;
const TRIES_MAX = 16;

/** What a read saw of the file's row. */
interface Seen {
  readonly file: number;
  readonly length: number;
  readonly count: number;
  readonly version: number;
  readonly undos: number;
  readonly provisionalFrom: number;
}

export class FileReads {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  readFile(wanted: ReadFileRequest, sequence: number, respond: (reply: Reply) => void): void {
    this.#read(wanted.file, sequence, respond, async (partition, seen) => {
      if (wanted.offset > seen.length) {
        // A continued read finds the file shorter only after an undo; a first one asked for too much.
        if (wanted.version === 0) {
          throw new ForelockError("bad_argument", `offset = ${wanted.offset}; the file has ${seen.length} bytes.`);
        }
        throw new ForelockError("rolled_back", `The file was cut to ${seen.length} bytes, version ${seen.version}.`, {
          details: { length: seen.length, version: seen.version },
        });
      }
      const bytesMax = wanted.bytesMax === 0 ? READ_BYTES_MAX : Math.min(wanted.bytesMax, READ_BYTES_MAX);
      const range = { offset: wanted.offset, bytesMax, length: seen.length };
      const bytes =
        wanted.offset === seen.length
          ? new Uint8Array(0)
          : await this.#node.options.bulk.read({ partition, file: seen.file }, range);
      const value = {
        bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
        length: seen.length,
        version: seen.version,
        provisionalFrom: seen.provisionalFrom,
      };
      return { sequence, body: { $case: "readFile", value } };
    });
  }

  readRecords(wanted: ReadRecordsRequest, sequence: number, respond: (reply: Reply) => void): void {
    this.#read(wanted.file, sequence, respond, async (partition, seen) => {
      if (wanted.index > seen.count) {
        const code = wanted.version === 0 ? "bad_argument" : "rolled_back";
        throw new ForelockError(
          code,
          `index = ${wanted.index}; the file has ${seen.count} records, version ${seen.version}.`,
          {
            details: { count: seen.count, version: seen.version },
          },
        );
      }
      const recordsMax = wanted.recordsMax === 0 ? RECORDS_MAX : Math.min(wanted.recordsMax, RECORDS_MAX);
      const range = { index: wanted.index, recordsMax, bytesMax: READ_BYTES_MAX, count: seen.count };
      const records =
        wanted.index === seen.count
          ? []
          : await this.#node.options.bulk.readRecords({ partition, file: seen.file }, range);
      const buffers = records.map((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      return {
        sequence,
        body: { $case: "readRecords", value: { records: buffers, count: seen.count, version: seen.version } },
      };
    });
  }

  #read(
    name: string,
    sequence: number,
    respond: (reply: Reply) => void,
    load: (partition: number, seen: Seen) => Promise<Reply>,
    tries = 1,
  ): void {
    const shard = this.#node.shardOf(name);
    const failed = (error: ForelockError): void => respond(errorReply(sequence, errorMessage(error)));
    shard.read((state) => {
      const seen = see(state, name);
      if (seen === undefined) return () => failed(new ForelockError("no_such_file", `There is no file ${name}.`));
      const isCut = (): boolean => state.files.get(name)?.undos !== seen.undos;
      return () => {
        load(shard.partition, seen).then(
          (reply) => {
            if (isCut() && tries < TRIES_MAX)
              this.#read(name, sequence, respond, load, tries + 1); // R1
            else respond(reply);
          },
          (cause: unknown) => {
            if (isCut() && tries < TRIES_MAX) return this.#read(name, sequence, respond, load, tries + 1);
            if (cause instanceof ForelockError) return failed(cause);
            this.#node.options.note("file read failed", { file: name, error: String(cause) });
            return failed(new ForelockError("internal", `${name} could not be read.`, { cause }));
          },
        );
      };
    }, failed);
  }
}

function see(state: PartitionState, name: string): Seen | undefined {
  const file = state.files.get(name);
  if (file === undefined) return undefined;
  const { length, count, version, undos } = file;
  const provisionalFrom = file.provisionalFrom < 0 ? length : file.provisionalFrom;
  return { file: file.number, length, count, version, undos, provisionalFrom };
}
