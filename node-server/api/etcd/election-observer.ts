/**
 * Election/Observe: the leader's proclamations in their order, of one leader after the other. What was overwritten before
 * it could be sent may be left out, the newest never.
 */
import { send, type RpcStatus, type RpcStream } from '../../grpc/service.ts'
import { isTombstone, type IndexRecord } from '../../mvcc/key-index.ts'
import { compareBytes } from '../../../lib/bytes.ts'
import { readCurrent, readKeyValue, versionsAfter } from '../../mvcc/read.ts'
import type { Store } from '../../mvcc/store.ts'
import type { NodePort } from '../../node/ports.ts'
import { LeaderResponse } from '../../proto/generated/etcd/election.ts'
import type { ResponseHeader } from '../../proto/generated/etcd/rpc.ts'
import type { Line } from './lines.ts'
import { header } from './responses.ts'

export interface Observed {
  readonly node: NodePort
  /** Why the client may not see the line, asked for each leader. */
  readonly refuse: () => Promise<RpcStatus | undefined>
}

/** Until the client has gone. */
export async function observe(
  { node, refuse }: Observed,
  proclamations: Proclamations,
  line: Line,
  calls: RpcStream,
  signal: AbortSignal,
): Promise<RpcStatus | undefined> {
  for (;;) {
    const barrier = await node.linearizableBarrier()
    if (!barrier.ok) return undefined // the client asks again; etcd ends the stream without a word, too
    const denied = await refuse()
    if (denied !== undefined) return denied
    let leader = leaderIn(node, line)
    let at = header(node)
    if (leader === undefined) {
      leader = await line.until(undefined, signal, () => leaderIn(node, line))
      if (leader === undefined) return undefined
      at = { ...at, revision: BigInt(leader.version.modRevision) }
    }
    if (!(await send(calls, proclamations.encode(at, leader.kv)))) return undefined
    if (!(await follow(node, proclamations, line, leader, calls, signal))) return undefined
  }
}

/** With its bytes, which a compaction may take from the store while something is sent. */
interface Proclamation {
  readonly version: IndexRecord
  readonly kv: Buffer
}

interface Leader extends Proclamation {
  readonly key: Uint8Array
}

function leaderIn(node: NodePort, line: Line): Leader | undefined {
  const first = line.first()
  return first === undefined
    ? undefined
    : { key: first.key, version: first.record, kv: readKeyValue(node.store, first.record) }
}

/** Sends what one leader proclaims; true once it is no longer the leader, false when there is nobody to send to. */
async function follow(
  node: NodePort,
  proclamations: Proclamations,
  line: Line,
  leader: Leader,
  calls: RpcStream,
  signal: AbortSignal,
): Promise<boolean> {
  for (let sent = leader.version; ;) {
    const news = await line.until(leader.key, signal, () => proclamations.after(line, leader.key, sent))
    if (news === undefined) return false
    for (const { version, kv } of news.proclaimed) {
      if (!(await send(calls, proclamations.encode(header(node), kv)))) return false
      sent = version
    }
    if (news.hasEnded) return true
  }
}

/**
 * What is proclaimed in each line, read and encoded once for all who observe it: they are woken together, and most of them have
 * been sent the same before.
 */
export class Proclamations {
  readonly #node: NodePort
  readonly #read = new WeakMap<Line, Read>()
  readonly #encoded = new WeakMap<Buffer, Encoded>()

  constructor(node: NodePort) {
    this.#node = node
  }

  /** What one leader has proclaimed after `sent`; undefined when there is nothing new. */
  after(line: Line, key: Uint8Array, sent: IndexRecord): News | undefined {
    const { store } = this.#node
    const { revision } = store
    const known = this.#read.get(line)
    const isKnown =
      known?.store === store &&
      known.revision === revision &&
      known.sentRevision === sent.modRevision &&
      compareBytes(known.key, key) === 0
    if (isKnown) return known.news
    const news = newsOf(store, key, sent)
    this.#read.set(line, { store, revision, key, sentRevision: sent.modRevision, news })
    return news
  }

  /** `header` that of now. */
  encode(header: ResponseHeader, kv: Buffer): Uint8Array {
    const known = this.#encoded.get(kv)
    if (known?.revision === header.revision && known.term === header.raftTerm) return known.bytes
    const bytes = LeaderResponse.encode({ header, kv }).finish()
    this.#encoded.set(kv, { revision: header.revision, term: header.raftTerm, bytes })
    return bytes
  }
}

interface Read {
  readonly store: Store
  readonly revision: number
  readonly key: Uint8Array
  readonly sentRevision: number
  readonly news: News | undefined
}

interface Encoded {
  readonly revision: bigint
  readonly term: bigint
  readonly bytes: Uint8Array
}

interface News {
  readonly proclaimed: readonly Proclamation[]
  readonly hasEnded: boolean
}

/** Undefined when there is none. A key that is there again belongs to a later candidate, who may stand further back. */
function newsOf(store: Store, key: Uint8Array, sent: IndexRecord): News | undefined {
  const proclaimed: Proclamation[] = []
  for (const version of versionsAfter(store, key, sent.modRevision)) {
    if (isTombstone(version) || version.createRevision !== sent.createRevision) return { proclaimed, hasEnded: true }
    proclaimed.push({ version, kv: readKeyValue(store, version) })
  }
  const hasEnded = readCurrent(store, key) === undefined // a compaction may have taken the deletion itself
  return hasEnded || proclaimed.length > 0 ? { proclaimed, hasEnded } : undefined
}
