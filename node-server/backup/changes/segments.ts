/**
 * Segments in a destination, beside the backups that they follow:
 *
 *   changes/CLUSTER ID/LINE/AFTER-LAST-TIME.seg
 *   changes/CLUSTER ID/LINE/begin.json             of a line that has no segment yet
 *   changes/CLUSTER ID/tip.json                    while nothing is changed: when that was so
 */
import { z } from 'zod'
import { MalformedBytes } from '../../../lib/bytes.ts'
import { BackupFailed, type Destination } from '../destination.ts'
import { changesPrefix, lineName, parseLineName, parseSegmentName, segmentName, type SegmentName } from './chain.ts'
import { decodeSegment, type Segment } from './segment.ts'

export interface Changes {
  /** In the order in which they began. */
  readonly lines: readonly string[]
  readonly segments: readonly SegmentName[]
}

export async function listChanges(destination: Destination, clusterId: string): Promise<Changes> {
  const names = (await destination.list(changesPrefix(clusterId))).map(({ name }) => name)
  const segments = names.flatMap((name) => parseSegmentName(name) ?? [])
  const begun = names.flatMap((name) => parseLineName(name) ?? [])
  return { segments, lines: [...new Set([...begun, ...segments.map(({ line }) => line)])].toSorted() }
}

/** The cluster goes on with another history than that of the line before. */
export async function beginLine(destination: Destination, clusterId: string, line: string): Promise<void> {
  await destination.write(lineName(clusterId, line), once(Buffer.from('{}')))
}

/** It counts once it was read back. Rejects with {@link BackupFailed}. */
export async function writeSegment(destination: Destination, line: string, segment: Segment): Promise<SegmentName> {
  const { clusterId, after, last, marks } = segment.head
  const parts = { line, after: after.revision, last: last.revision, fromMs: Math.min(...marks.map(({ atMs }) => atMs)) }
  const name = segmentName(clusterId, parts)
  await destination.write(name, once(segment.bytes))
  const stored = await bytesOf(destination, name)
  if (stored.equals(segment.bytes)) return { ...parts, name }
  throw new BackupFailed(`${destination.url}: ${name} is not what was written`)
}

/** Rejects with {@link BackupFailed}, also when it is damaged. */
export async function readSegment(destination: Destination, { name }: Pick<SegmentName, 'name'>): Promise<Segment> {
  const bytes = await bytesOf(destination, name)
  try {
    return decodeSegment(bytes)
  } catch (error) {
    if (!(error instanceof MalformedBytes)) throw error
    throw new DamagedSegment(`${destination.url}: ${name} is damaged: ${error.message}`)
  }
}

export class DamagedSegment extends BackupFailed {}

async function bytesOf(destination: Destination, name: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(destination.read(name)))
}

const tipJson = z.object({ line: z.string(), revision: z.int().min(0), atMs: z.int() })

/** At that time the cluster was still at that revision. */
export type Tip = z.infer<typeof tipJson>

function tipName(clusterId: string): string {
  return `${changesPrefix(clusterId)}tip.json`
}

export async function writeTip(destination: Destination, clusterId: string, tip: Tip): Promise<void> {
  await destination.write(tipName(clusterId), once(Buffer.from(JSON.stringify(tip))))
}

/** Undefined where there is none. */
export async function readTip(destination: Destination, clusterId: string): Promise<Tip | undefined> {
  const objects = await destination.list(tipName(clusterId))
  if (objects.length === 0) return undefined
  const text = (await bytesOf(destination, tipName(clusterId))).toString('utf8')
  try {
    return tipJson.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

// eslint-disable-next-line require-await -- one piece, where many are taken
async function* once(piece: Uint8Array): AsyncGenerator<Uint8Array> {
  yield piece
}
