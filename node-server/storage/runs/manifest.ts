/**
 * Which files are the store. Renamed over the one before, so that a crash leaves one or the other.
 *
 *   manifest  "RKVMAN01" ‖ number (6) ‖ next file ID (6) ‖ runs (4) ‖ run … ‖ checksum (4)
 *   run       files (4) ‖ file …
 *   file      ID (6) ‖ size (6) ‖ rows (6) ‖ removals (6) ‖ checksum of its footer (4) ‖ first key ‖ last key, each: size (4) ‖ bytes
 *
 * The numbers are little-endian, as in the files.
 */
import { MalformedBytes } from '../../../lib/bytes.ts'
import { CHECKSUM_SIZE_BYTES, isSound, putChecksum, putU32, putU48, u32, u48 } from './format.ts'

export interface RunFile {
  /** Never given twice in a store. */
  readonly id: number
  readonly sizeBytes: number
  /** Removals included. */
  readonly rows: number
  readonly removals: number
  readonly footerChecksum: number
  /** Keys, with the byte of the table before them; out of a manifest only their beginnings, see {@link isWhole}. */
  readonly first: Buffer
  readonly last: Buffer
}

/** A key may be as long as a request, and every commit writes the bounds of all files again. */
const MAX_BOUND_SIZE_BYTES = 2048

/** Whether the bound, which a manifest gave, is the key itself: the rest of a longer one is in the file. */
export function isWhole(bound: Uint8Array): boolean {
  return bound.length < MAX_BOUND_SIZE_BYTES
}

/** Files in the order of their keys, which do not overlap. */
export type Run = readonly RunFile[]

export interface Manifest {
  /** Counts the manifests of the store. */
  readonly number: number
  readonly nextFileId: number
  /** From the newest to the oldest: of a key, the first row that is found counts. */
  readonly runs: readonly Run[]
}

/** It is sound, and of a later version: no damage, and nothing that this one may touch. */
export class LaterFormat extends MalformedBytes {}

export const NEW_MANIFEST: Manifest = { number: 0, nextFileId: 1, runs: [] }

const MAGIC = Buffer.from('RKVMAN01', 'latin1')
const ANY_FORMAT = /^RKVMAN([0-9]{2})$/
const HEAD_BYTES = MAGIC.length + 6 + 6 + 4
const FILE_HEAD_BYTES = 4 * 6 + 4

export function encodeManifest({ number, nextFileId, runs }: Manifest): Buffer {
  const boundsOf = ({ first, last }: RunFile): readonly Buffer[] =>
    [first, last].map((key) => key.subarray(0, MAX_BOUND_SIZE_BYTES))
  let size = HEAD_BYTES + CHECKSUM_SIZE_BYTES
  for (const run of runs) {
    size += 4
    for (const file of run) for (const bound of boundsOf(file)) size += bound.length + 4
    size += FILE_HEAD_BYTES * run.length
  }
  const bytes = Buffer.alloc(size)
  let at = putU32(bytes, putU48(bytes, putU48(bytes, MAGIC.copy(bytes), number), nextFileId), runs.length)
  for (const run of runs) {
    at = putU32(bytes, at, run.length)
    for (const file of run) {
      const { id, sizeBytes, rows, removals, footerChecksum } = file
      for (const field of [id, sizeBytes, rows, removals]) at = putU48(bytes, at, field)
      at = putU32(bytes, at, footerChecksum)
      for (const bound of boundsOf(file)) {
        at = putU32(bytes, at, bound.length)
        at += bound.copy(bytes, at)
      }
    }
  }
  putChecksum(bytes, 0, at, 0)
  return bytes
}

/** Throws `MalformedBytes`, {@link LaterFormat} among them. The keys are copies. */
export function decodeManifest(bytes: Buffer): Manifest {
  if (!isSound(bytes, 0)) throw new MalformedBytes('its checksum is wrong')
  const end = bytes.length - CHECKSUM_SIZE_BYTES
  let at = 0
  const take = (size: number): number => {
    if (size > end - at) throw new MalformedBytes(`it ends at ${end}, ${size} bytes are wanted at ${at}`)
    at += size
    return at - size
  }
  const number48 = (): number => u48(bytes, take(6))
  const number32 = (): number => u32(bytes, take(4))
  const key = (): Buffer => {
    const size = number32()
    const start = take(size)
    return Buffer.from(bytes.subarray(start, start + size))
  }
  checkFormat(bytes.toString('latin1', take(MAGIC.length), at))
  const number = number48()
  const nextFileId = number48()
  const file = (): RunFile => ({
    id: number48(),
    sizeBytes: number48(),
    rows: number48(),
    removals: number48(),
    footerChecksum: number32(),
    first: key(),
    last: key(),
  })
  const runs = list(number32(), () => list(number32(), file))
  if (at !== end) throw new MalformedBytes(`${end - at} bytes left over`)
  return { number, nextFileId, runs }
}

function checkFormat(magic: string): void {
  if (magic === MAGIC.toString('latin1')) return
  const format = ANY_FORMAT.exec(magic)?.[1]
  if (format === undefined) throw new MalformedBytes('it is no manifest')
  throw new LaterFormat(`it is of format ${Number(format)}, and this version knows 1: start a later version here`)
}

/** Not `Array.from`: a count that is wrong must not be room that is taken. */
function list<Item>(count: number, item: () => Item): readonly Item[] {
  const items: Item[] = []
  while (items.length < count) items.push(item())
  return items
}

export function filesOf({ runs }: Manifest): readonly RunFile[] {
  return runs.flat()
}

export function rowsOf(run: Run): number {
  return run.reduce((sum, { rows }) => sum + rows, 0)
}

export function removalsOf(run: Run): number {
  return run.reduce((sum, { removals }) => sum + removals, 0)
}
