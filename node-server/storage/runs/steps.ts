/**
 * Runs in the making. A generator makes the bytes and yields what is to be done with them, so that it knows no disk, and so
 * that something else can be done between two steps of a long one.
 */
import { u32 } from './format.ts'
import type { Run, RunFile } from './manifest.ts'
import { RunBuilder } from './run-builder.ts'
import { ROW_HEAD_BYTES } from './rows.ts'

/**
 * `pause`: nothing but time has passed. `drain`: what the builder has filled goes into its file. `finish`: the same, and the
 * file is whole.
 */
export type Step =
  | { readonly kind: 'pause' }
  | { readonly kind: 'drain'; readonly builder: RunBuilder }
  | { readonly kind: 'finish'; readonly builder: RunBuilder }

export type Steps = Generator<Step, Run>

/** What a builder fills before it is drained: small enough to be written at once. */
const DRAIN_SIZE_BYTES = 64 * 1024

export interface OutputOptions {
  readonly nextFileId: () => number
  readonly fileSizeBytes: number
}

/** The files of one run: one ends when it is large, and between the table of values and the rest, which are merged apart. */
export class RunOutput {
  readonly #nextFileId: () => number
  readonly #fileSizeBytes: number
  readonly #files: RunFile[] = []
  #builder: RunBuilder | undefined
  #hasValues = false

  constructor({ nextFileId, fileSizeBytes }: OutputOptions) {
    this.#nextFileId = nextFileId
    this.#fileSizeBytes = fileSizeBytes
  }

  /** For a row of that table, or a block, when it is the one at hand and nothing is to be done before. */
  builderAt(table: number): RunBuilder | undefined {
    const builder = this.#builder
    if (builder === undefined || builder.sizeBytes >= this.#fileSizeBytes) return undefined
    return (table === 0) === this.#hasValues ? builder : undefined
  }

  *builderFor(table: number): Generator<Step, RunBuilder> {
    const fitting = this.builderAt(table)
    if (fitting !== undefined) return fitting
    yield* this.finish()
    this.#hasValues = table === 0
    this.#builder ??= new RunBuilder(this.#nextFileId())
    return this.#builder
  }

  isFilled(builder: RunBuilder): boolean {
    return builder.filledBytes >= DRAIN_SIZE_BYTES && builder.isBetweenBlocks
  }

  *finish(): Generator<Step, void> {
    const builder = this.#builder
    this.#builder = undefined
    if (builder === undefined || builder.sizeBytes === 0) return // all that it was made for was removed
    this.#files.push(builder.finish())
    yield { kind: 'finish', builder }
  }

  /** A file that is there already; it stands behind all so far. */
  *keep(file: RunFile): Generator<Step, void> {
    yield* this.finish()
    this.#files.push(file)
  }

  get run(): Run {
    return this.#files
  }
}

/** The run of one commit; the pieces are as rows.ts has them. */
export function* buildRun(pieces: readonly Uint8Array[], options: OutputOptions): Steps {
  const output = new RunOutput(options)
  for (const rows of pieces)
    for (let at = 0; at < rows.length;) {
      const keyStart = at + ROW_HEAD_BYTES
      const keyEnd = keyStart + u32(rows, at)
      const valueSize = u32(rows, at + 4) - 1
      at = keyEnd + Math.max(0, valueSize)
      const builder = output.builderAt(rows[keyStart] ?? 0) ?? (yield* output.builderFor(rows[keyStart] ?? 0))
      builder.add(rows, keyStart, keyEnd, valueSize < 0 ? -1 : keyEnd, at)
      if (output.isFilled(builder)) yield { kind: 'drain', builder }
    }
  yield* output.finish()
  return output.run
}
