/**
 * Maintenance.Snapshot: the store's file in pieces, then the 32 bytes of its SHA-256, as `etcdctl snapshot save` wants them
 * (it tells the digest by the size: a file is whole pages). The file is a copy of this request's own, so a slow client
 * holds disk space and nothing else; it is removed however the call ends.
 */
import { createHash } from 'node:crypto'
import { sleep, type Clock } from '../../../lib/clock.ts'
import type { CallContext, Method, RpcStatus, RpcStream } from '../../grpc/service.ts'
import type { NodePort } from '../../node/ports.ts'
import { SnapshotRequest, SnapshotResponse } from '../../proto/generated/etcd/rpc.ts'
import { storageVersion } from './downgrade.ts'
import { statusOf } from './errors.ts'
import { decode, refusal } from './method.ts'

/** etcd's. */
const PIECE_SIZE_BYTES = 32 * 1024
/** How long a client may read nothing. */
const STALLED_MS = 60_000

type Copy = Extract<Awaited<ReturnType<NodePort['copyStore']>>, { ok: true }>['value']
const STALLED: RpcStatus = { code: 'DeadlineExceeded', message: 'etcdserver: the client has stopped reading' }

/** Learners serve it too: it is this member's own data. */
export function snapshotMethod(node: NodePort, clock: Clock): Method {
  return { kind: 'stream', handle: (stream, context) => handle(node, clock, stream, context) }
}

async function handle(
  node: NodePort,
  clock: Clock,
  stream: RpcStream,
  context: CallContext,
): Promise<RpcStatus | undefined> {
  const malformed = await readRequest(stream)
  if (malformed !== undefined) return malformed
  const refused = refusal(node, context, true)
  if (refused !== undefined) return refused
  const copy = await node.copyStore()
  if (!copy.ok) return statusOf(copy.error)
  try {
    // Removed while it was copied: it would pass for a backup of the cluster.
    return node.status().isStopped ? statusOf('stopped') : await sendAll(copy.value, stream, clock)
  } finally {
    await copy.value.close()
  }
}

async function readRequest(stream: RpcStream): Promise<RpcStatus | undefined> {
  for await (const bytes of stream.requests) {
    const request = decode(SnapshotRequest, bytes)
    return request.ok ? undefined : request.error
  }
  return { code: 'Internal', message: 'the client sent no request' }
}

async function sendAll(copy: Copy, stream: RpcStream, clock: Clock): Promise<RpcStatus | undefined> {
  const digest = createHash('sha256')
  const send = (blob: Buffer, leftBytes: number): Promise<'sent' | 'gone' | 'stalled'> =>
    sendWithin(stream, clock, {
      header: undefined,
      remainingBytes: BigInt(leftBytes),
      blob,
      version: storageVersion(),
    })
  let leftBytes = copy.sizeBytes
  while (leftBytes > 0) {
    const piece = await copy.read(PIECE_SIZE_BYTES)
    if (piece.length === 0) return { code: 'Internal', message: 'etcdserver: the snapshot ended early' }
    digest.update(piece)
    leftBytes -= piece.length
    const outcome = await send(piece, leftBytes)
    if (outcome !== 'sent') return outcome === 'stalled' ? STALLED : undefined
  }
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
