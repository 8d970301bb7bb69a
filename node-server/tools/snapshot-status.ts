/** `snapshot status FILE`: what a snapshot holds, in the forms of etcdutl. */
import { unreachable } from '../../lib/assert.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { FORMAT_VERSION } from '../mvcc/meta.ts'
import { inspectEtcdSnapshot, isEtcdSnapshot, type SnapshotContent } from './etcd-snapshot.ts'
import { readSnapshotFile } from './snapshot-file.ts'
import { inspectStore } from './store-inspection.ts'
import type { ExitCode, ToolIo } from './tool-io.ts'
import { humanSize } from './words.ts'

export const FORMS = ['simple', 'json', 'table', 'fields'] as const
export type Form = (typeof FORMS)[number]

export interface SnapshotStatus {
  readonly hash: number
  readonly revision: number
  readonly totalKey: number
  /** Of the store, in bytes, without the digest. */
  readonly totalSize: number
  /** The version of etcd's storage; of a store of ours, whose format no etcd reads, a name of its own. */
  readonly version: string
}

export async function runSnapshotStatus(
  io: ToolIo,
  path: string,
  options: { readonly writeOut: Form; readonly skipHashCheck: boolean },
): Promise<ExitCode> {
  const status = await snapshotStatus(path, options.skipHashCheck)
  if (!status.ok) {
    await io.err.write(`Error: ${status.error}\n`)
    return 1
  }
  await io.out.write(formatStatus(status.value, options.writeOut))
  return 0
}

async function snapshotStatus(path: string, skipHashCheck: boolean): Promise<Result<SnapshotStatus, string>> {
  const sizeBytes = await readSnapshotFile(path, { skipHashCheck })
  if (!sizeBytes.ok) return sizeBytes
  const content = await snapshotContent(path, sizeBytes.value)
  if (!content.ok) return content
  const { hash, revision, keys, version } = content.value
  return ok({ hash, revision, totalKey: keys, totalSize: content.value.sizeBytes, version })
}

/** Reads all of the store in the file, which is so large. The error is for the user. */
export async function snapshotContent(path: string, sizeBytes: number): Promise<Result<SnapshotContent, string>> {
  if (isEtcdSnapshot(path)) return inspectEtcdSnapshot(path, sizeBytes)
  const inspected = await inspectStore(path)
  if (!inspected.ok) return err(inspected.error.problem)
  const { hash, revision, keys, problems } = inspected.value
  if (problems.length > 0) {
    return err(`snapshot file integrity check failed. ${problems.length} errors found.\n${problems.join('\n')}`)
  }
  return ok({ hash, revision, keys, sizeBytes, version: `raftkv-${FORMAT_VERSION}` })
}

export function formatStatus(status: SnapshotStatus, form: Form): string {
  const { hash, revision, totalKey, totalSize, version } = status
  const columns = [hash.toString(16), String(revision), String(totalKey), humanSize(totalSize), version]
  switch (form) {
    case 'simple':
      return `${columns.join(', ')}\n`
    case 'json':
      return `${JSON.stringify({ hash, revision, totalKey, totalSize, version })}\n`
    case 'fields':
      return `"Hash" : ${hash}\n"Revision" : ${revision}\n"Keys" : ${totalKey}\n"Size" : ${totalSize}\n"Version" : ${version}\n`
    case 'table':
      return table(['HASH', 'REVISION', 'TOTAL KEYS', 'TOTAL SIZE', 'VERSION'], columns)
    default:
      return unreachable(form)
  }
}

function table(heads: readonly string[], cells: readonly string[]): string {
  const widths = heads.map((head, i) => Math.max(head.length, cells[i]?.length ?? 0))
  const line = (left: string, middle: string, right: string): string =>
    left + widths.map((width) => '─'.repeat(width + 2)).join(middle) + right
  const head = heads.map((text, i) => ` ${centred(text, widths[i] ?? 0)} `).join('│')
  const row = cells.map((text, i) => ` ${text.padStart(widths[i] ?? 0)} `).join('│')
  return `${[line('┌', '┬', '┐'), `│${head}│`, line('├', '┼', '┤'), `│${row}│`, line('└', '┴', '┘')].join('\n')}\n`
}

function centred(text: string, width: number): string {
  return text.padStart(text.length + Math.floor((width - text.length) / 2)).padEnd(width)
}
