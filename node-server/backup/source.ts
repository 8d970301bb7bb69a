/** The cluster that is backed up, by etcd's API: any member of ours, or an etcd that says with a snapshot of which revision it is. */
import { formatId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { GrpcClient, errorMessage, type ClientTls } from '../grpc/client.ts'
import {
  HashKVRequest,
  HashKVResponse,
  SnapshotRequest,
  SnapshotResponse,
  StatusRequest,
  StatusResponse,
} from '../proto/generated/etcd/rpc.ts'
import { BackupFailed } from './destination.ts'

export interface SourceOptions extends ClientTls {
  /** URLs of members. */
  readonly endpoints: readonly string[]
}

export interface OpenSnapshot {
  readonly clusterId: string
  readonly memberId: string
  readonly revision: number
  readonly version: string
  /** The database, then its SHA-256. Throws {@link BackupFailed} when the stream breaks. */
  readonly pieces: AsyncIterable<Buffer>
}

const STATUS_TIMEOUT_MS = 5000
/** It goes through the whole store, beside what it serves. */
const HASH_TIMEOUT_MS = 600_000

export interface SourceMember {
  readonly client: GrpcClient
  readonly endpoint: string
  readonly status: StatusResponse
}

/** As {@link withMember}. */
export function withSnapshot<Value>(
  options: SourceOptions,
  use: (snapshot: OpenSnapshot, member: SourceMember) => Promise<Value>,
): Promise<Value> {
  return withMember(options, (member) => open(member, (snapshot) => use(snapshot, member)))
}

/** A follower that has applied all but the last moments, if there is one: the leader has enough to do. `use` is given it while it lasts. */
export async function withMember<Value>(
  options: SourceOptions,
  use: (member: SourceMember) => Promise<Value>,
): Promise<Value> {
  const clients = options.endpoints.map((endpoint) => ({ endpoint, client: new GrpcClient(endpoint, options) }))
  try {
    const answers = await Promise.allSettled(
      clients.map(async ({ client, endpoint }): Promise<SourceMember> => ({
        client,
        endpoint,
        status: await statusOf(client),
      })),
    )
    const chosen = choose(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : [])))
    if (chosen === undefined) {
      const reasons = answers.map(
        (answer, i) =>
          `${options.endpoints[i]}: ${answer.status === 'rejected' ? errorMessage(answer.reason) : 'is a learner'}`,
      )
      throw new BackupFailed(`no member can be asked: ${reasons.join('; ')}`)
    }
    return await use(chosen)
  } finally {
    for (const { client } of clients) client.close()
  }
}

/** Entries that a follower may lag by: a second of writes at full rate. */
const MAX_LAG_ENTRIES = 10_000n

function choose(candidates: readonly SourceMember[]): SourceMember | undefined {
  const newest = candidates.reduce(
    (most, { status }) => (status.raftAppliedIndex > most ? status.raftAppliedIndex : most),
    0n,
  )
  const voters = candidates.filter(
    ({ status }) => !status.isLearner && newest - status.raftAppliedIndex <= MAX_LAG_ENTRIES,
  )
  return voters.find(({ status }) => status.leader !== status.header?.memberId) ?? voters[0]
}

async function open<Value>(
  { client, endpoint }: SourceMember,
  use: (snapshot: OpenSnapshot) => Promise<Value>,
): Promise<Value> {
  const stream = client.stream('/etcdserverpb.Maintenance/Snapshot', SnapshotRequest.encode({}).finish())
  try {
    const messages = decoded(stream.messages)
    const first = await reading(endpoint, () => messages.next())
    const header = first.done === true ? undefined : first.value.header
    if (first.done === true || header === undefined)
      throw new BackupFailed(
        `${endpoint}: its snapshot does not say of which revision it is: only members of this program are backed up`,
      )
    return await use({
      clusterId: formatId(header.clusterId),
      memberId: formatId(header.memberId),
      revision: Number(header.revision),
      version: first.value.version,
      pieces: blobs(endpoint, first.value, messages),
    })
  } finally {
    stream.cancel()
  }
}

async function* blobs(
  endpoint: string,
  first: SnapshotResponse,
  messages: AsyncIterator<SnapshotResponse>,
): AsyncGenerator<Buffer> {
  yield first.blob
  for (;;) {
    const next = await reading(endpoint, () => messages.next())
    if (next.done === true) return
    yield next.value.blob
  }
}

async function reading<Value>(endpoint: string, read: () => Promise<Value>): Promise<Value> {
  try {
    return await read()
  } catch (cause) {
    throw new BackupFailed(`${endpoint}: the snapshot broke off: ${errorMessage(cause)}`, { cause })
  }
}

async function* decoded(messages: AsyncIterable<Buffer>): AsyncGenerator<SnapshotResponse> {
  for await (const bytes of messages) yield SnapshotResponse.decode(bytes)
}

/** etcd's HashKV. */
export interface MemberHash {
  readonly hash: number
  /** What it leaves out of account; -1 for nothing. */
  readonly compactedRevision: number
}

/** Of what the member has at a revision; the error says why it cannot tell. */
export async function hashOf(
  { client, endpoint }: SourceMember,
  revision: number,
): Promise<Result<MemberHash, string>> {
  const request = HashKVRequest.encode({ revision: BigInt(revision) }).finish()
  try {
    const answer = await client.unary('/etcdserverpb.Maintenance/HashKV', request, HASH_TIMEOUT_MS)
    const { hash, compactRevision } = HashKVResponse.decode(answer)
    return ok({ hash, compactedRevision: Number(compactRevision) })
  } catch (error) {
    return err(`${endpoint}: no HashKV of revision ${revision}: ${errorMessage(error)}`)
  }
}

async function statusOf(client: GrpcClient): Promise<StatusResponse> {
  const request = StatusRequest.encode({}).finish()
  return StatusResponse.decode(await client.unary('/etcdserverpb.Maintenance/Status', request, STATUS_TIMEOUT_MS))
}
