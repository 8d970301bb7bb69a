/**
 * Several runs into one. Files that overlap no other are taken over as they are, so a value is written once and again only
 * when something beside it was removed; blocks between whose keys no other run has one are copied as bytes.
 */
import type { Block } from './block.ts'
import { RunCursor, type OpenRun } from './cursor.ts'
import { isFiltered } from './filter.ts'
import type { RunReader } from './run-reader.ts'
import { Spans } from './spans.ts'
import { RunOutput, type OutputOptions, type Step, type Steps } from './steps.ts'

const READ_SIZE_BYTES = 256 * 1024
const ROWS_A_STEP = 2000
/** A block that is copied as bytes counts for so many rows. */
const ROWS_A_BLOCK = 20
/** A smaller block is not copied, but joined with its neighbours, and does not end for one that could be. */
const MIN_BLOCK_BYTES = 2048

export interface MergeOptions extends OutputOptions {
  /** Nothing older is beneath them: removals have done their work. */
  readonly isBottom: boolean
  readonly smallFileSizeBytes: number
}

/** `runs`: from the newest to the oldest, neighbours in the store. */
export function* mergeRuns(runs: readonly OpenRun[], options: MergeOptions): Steps {
  const { isBottom, smallFileSizeBytes } = options
  const output = new RunOutput(options)
  for (const group of groupsOf(runs, smallFileSizeBytes)) {
    const [only] = group
    const isKept =
      group.length === 1 && only !== undefined && only.isLarge && !(isBottom && only.reader.file.removals > 0)
    if (isKept) yield* output.keep(only.reader.file)
    else yield* mergeGroup(output, group, isBottom)
  }
  yield* output.finish()
  return output.run
}

interface Placed {
  readonly reader: RunReader
  /** 0: of the newest run. */
  readonly age: number
  readonly isLarge: boolean
}

/** Files in key order, in groups between which no keys overlap; small neighbours are one group, that they become one file. */
function groupsOf(runs: readonly OpenRun[], smallFileSizeBytes: number): readonly (readonly Placed[])[] {
  const placed = runs.flatMap((run, age) =>
    run.map((reader): Placed => ({ reader, age, isLarge: reader.file.sizeBytes >= smallFileSizeBytes })),
  )
  placed.sort((a, b) => Buffer.compare(a.reader.file.first, b.reader.file.first))
  const groups: Placed[][] = []
  let end: Buffer | undefined
  let isSmall = true
  for (const next of placed) {
    const { first, last } = next.reader.file
    const group = groups.at(-1)
    const overlaps = end !== undefined && Buffer.compare(first, end) <= 0
    const joins = overlaps || (isSmall && !next.isLarge && (end?.[0] === 0) === (first[0] === 0))
    if (group === undefined || !joins) {
      groups.push([next])
      end = last
      isSmall = !next.isLarge
      continue
    }
    group.push(next)
    isSmall &&= !next.isLarge
    if (end === undefined || Buffer.compare(last, end) > 0) end = last
  }
  return groups
}

function* mergeGroup(output: RunOutput, group: readonly Placed[], isBottom: boolean): Generator<Step, void> {
  const spans = new Spans(cursorsOf(group), false)
  let work = 0
  for (let block = spans.next(); block !== undefined; block = spans.next()) {
    if (work >= ROWS_A_STEP) {
      work = 0
      yield { kind: 'pause' }
    }
    const table = block.firstByte(spans.from)
    const builder = output.builderAt(table) ?? (yield* output.builderFor(table))
    const isCopied =
      spans.isWholeBlock && canCopy(block) && (builder.isBetweenBlocks || builder.openBytes >= MIN_BLOCK_BYTES)
    if (isCopied) {
      builder.addBlock(block)
      work += ROWS_A_BLOCK
    } else {
      for (let position = spans.from; position < spans.to; position++) {
        if (!(isBottom && block.isRemoval(position))) builder.addFrom(block, position)
      }
      work += spans.to - spans.from
    }
    if (output.isFilled(builder)) yield { kind: 'drain', builder }
  }
}

/** Its rows are taken as they are, and none of their keys is noted in a filter. */
function canCopy(block: Block): boolean {
  const table = block.firstByte(0)
  const isOfOne = table === block.firstByte(block.count - 1) && !isFiltered(table)
  return isOfOne && !block.hasRemovals && block.bytes.length >= MIN_BLOCK_BYTES
}

function cursorsOf(group: readonly Placed[]): readonly RunCursor[] {
  const byAge = Map.groupBy(group, ({ age }) => age)
  const bounds = { low: Buffer.alloc(0), high: undefined, isReverse: false }
  const cursorOf = ([age, placed]: [number, Placed[]]): RunCursor =>
    new RunCursor(
      placed.map(({ reader }) => reader),
      age,
      bounds,
      READ_SIZE_BYTES,
    )
  return Array.from(byAge, cursorOf)
}
