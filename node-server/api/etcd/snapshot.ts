/**
 * Maintenance.Snapshot: the store as a stream in etcd's pieces, then the 32 bytes of its SHA-256, as `etcdctl snapshot save`
 * wants them (it tells the digest by the size). The store is pinned for this request, so a slow client holds disk space and
 * nothing else; it is released however the call ends.
 */
import { createHash } from 'node:crypto'
import { sleep, type Clock } from '../../../lib/clock.ts'
import type { CallContext, Method, RpcStatus, RpcStream } from '../../grpc/service.ts'
import type { PinnedStore } from '../../mvcc/backend.ts'
import { SnapshotRequest, SnapshotResponse } from '../../proto/generated/etcd/rpc.ts'
import { storageVersion } from './downgrade.ts'
import { statusOf } from './errors.ts'
import type { Gate } from './gate.ts'
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
    return node.status().isStopped ? statusOf('stopped') : await sendAll(pinned.value, stream, clock)
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

async function sendAll(pinned: PinnedStore, stream: RpcStream, clock: Clock): Promise<RpcStatus | undefined> {
  const digest = createHash('sha256')
  const send = (blob: Buffer, leftBytes: number): Promise<'sent' | 'gone' | 'stalled'> =>
    sendWithin(stream, clock, {
      header: undefined,
      remainingBytes: BigInt(leftBytes),
      blob,
      version: storageVersion(),
    })
  let leftBytes = pinned.sizeBytes
  for await (const bytes of pinned.read()) {
    digest.update(bytes)
    const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let at = 0; at < whole.length; at += PIECE_SIZE_BYTES) {
      const piece = whole.subarray(at, at + PIECE_SIZE_BYTES)
      leftBytes -= piece.length
      const outcome = await send(piece, leftBytes)
      if (outcome !== 'sent') return outcome === 'stalled' ? STALLED : undefined
    }
  }
  if (leftBytes !== 0) return { code: 'Internal', message: 'etcdserver: the snapshot ended early' }
  return (await send(digest.digest(), 0)) === 'stalled' ? STALLED : undefined
}

async function sendWithin(
  stream: RpcStream,
  clock: Clock,
  response: SnapshotResponse,
): Promise<'sent' | 'gone' | 'stalled'> {
  const waited = new AbortController()
  const sent = stream.send(SnapshotResponse.encode(response).finish()).then((more) => (more ? 'sent' : 'gone'))
  const outcome = await Promise.race([sent, sleep(clock, STALLED_MS, waited.signal).then(() => 'stalled' as const)])
  waited.abort()
  return outcome === 'stalled' ? 'stalled' : outcome === 'gone' ? 'gone' : 'sent'
}
