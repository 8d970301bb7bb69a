/**
 * Maintenance.Snapshot: the store as the database file of an etcd, in etcd's pieces, then the 32 bytes of its SHA-256, as
 * `etcdctl snapshot save` wants them (it tells the digest by the size). The store is pinned for this request, so a slow
 * client holds disk space and nothing else; it is released however the call ends.
 */
import { createHash } from 'node:crypto'
import { sleep, type Clock } from '../../../lib/clock.ts'
import { boltFile, layOut } from '../../bolt/writer.ts'
import { etcdBuckets } from '../../etcd-file/export.ts'
import { send, type CallContext, type Method, type RpcStatus, type RpcStream } from '../../grpc/service.ts'
import type { PinnedStore } from '../../mvcc/backend.ts'
import { SnapshotRequest, SnapshotResponse, type ResponseHeader } from '../../proto/generated/etcd/rpc.ts'
import { storageVersion } from './downgrade.ts'
import { statusOf } from './errors.ts'
import type { Gate } from './gate.ts'
import { headerAt } from './header-bytes.ts'
import { decode, refusal } from './method.ts'

/** etcd's. */
const PIECE_SIZE_BYTES = 32 * 1024
/** How long a client may read nothing. */
const STALLED_MS = 60_000

const STALLED: RpcStatus = { code: 'DeadlineExceeded', message: 'etcdserver: the client has stopped reading' }

/** Learners serve it too: it is this member's own data. */
export function snapshotMethod(gate: Gate, clock: Clock): Method {
  return { kind: 'stream', handle: (stream, context) => handle(gate, clock, stream, context) }
}

async function handle(
  gate: Gate,
  clock: Clock,
  stream: RpcStream,
  context: CallContext,
): Promise<RpcStatus | undefined> {
  const { node } = gate
  const malformed = await readRequest(stream)
  if (malformed !== undefined) return malformed
  const refused = refusal(node, context, true)
  if (refused !== undefined) return refused
  const admitted = await gate.admit('admin', context) // it holds everything, the hashes of passwords too
  if (!admitted.ok) return admitted.error
  const pinned = await node.pinStore()
  if (!pinned.ok) return statusOf(pinned.error)
  try {
    // Removed while it was pinned: it would pass for a backup of the cluster.
    if (node.status().isStopped) return statusOf('stopped')
    const header = headerAt(node, pinned.value.meta.revision)
    return await sendAll({ pinned: pinned.value, header, stream, clock, signal: context.signal })
  } catch (error) {
    if (context.signal.aborted) return undefined // nobody waits for an answer
    throw error
  } finally {
    await pinned.value.release()
  }
}

async function readRequest(stream: RpcStream): Promise<RpcStatus | undefined> {
  for await (const bytes of stream.requests) {
    const request = decode(SnapshotRequest, bytes)
    return request.ok ? undefined : request.error
  }
  return { code: 'Internal', message: 'the client sent no request' }
}

interface Sending {
  readonly pinned: PinnedStore
  /** Of the first piece: which state it is of. */
  readonly header: ResponseHeader
  readonly stream: RpcStream
  readonly clock: Clock
  readonly signal: AbortSignal
}

async function sendAll({ pinned, header, stream, clock, signal }: Sending): Promise<RpcStatus | undefined> {
  const buckets = etcdBuckets(pinned, storageVersion())
  const layout = await layOut(buckets, signal)
  const digest = createHash('sha256')
  let leftBytes = layout.sizeBytes
  let isFirst = true
  const send = (blob: Buffer): Promise<'sent' | 'gone' | 'stalled'> =>
    sendWithin(stream, clock, {
      header: isFirst ? header : undefined,
      remainingBytes: BigInt(leftBytes),
      blob,
      version: storageVersion(),
    })
  for await (const piece of inPieces(boltFile(buckets, layout))) {
    digest.update(piece)
    leftBytes -= piece.length
    const outcome = await send(piece)
    isFirst = false
    if (outcome !== 'sent') return outcome === 'stalled' ? STALLED : undefined
  }
  return (await send(digest.digest())) === 'stalled' ? STALLED : undefined
}

/** Pages become pieces of one size, the last one excepted. */
async function* inPieces(pages: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let piece = Buffer.allocUnsafeSlow(PIECE_SIZE_BYTES)
  let filledBytes = 0
  for await (const page of pages) {
    for (let at = 0; at < page.length;) {
      const copiedBytes = page.copy(piece, filledBytes, at)
      at += copiedBytes
      filledBytes += copiedBytes
      if (filledBytes < PIECE_SIZE_BYTES) continue
      yield piece
      piece = Buffer.allocUnsafeSlow(PIECE_SIZE_BYTES)
      filledBytes = 0
    }
  }
  if (filledBytes > 0) yield piece.subarray(0, filledBytes)
}

async function sendWithin(
  stream: RpcStream,
  clock: Clock,
  response: SnapshotResponse,
): Promise<'sent' | 'gone' | 'stalled'> {
  const waited = new AbortController()
  const sent = send(stream, SnapshotResponse.encode(response).finish()).then((more) => (more ? 'sent' : 'gone'))
  const outcome = await Promise.race([sent, sleep(clock, STALLED_MS, waited.signal).then(() => 'stalled' as const)])
  waited.abort()
  return outcome === 'stalled' ? 'stalled' : outcome === 'gone' ? 'gone' : 'sent'
}
