/** A member as the source of changes, by etcd's API: a watch of all keys with its history. */
import { formatId } from '../../../lib/ids.ts'
import { errorMessage } from '../../grpc/client.ts'
import { Event_EventType, KeyValue, type Event } from '../../proto/generated/etcd/kv.ts'
import {
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  RangeRequest,
  RangeResponse,
  WatchRequest,
  WatchResponse,
} from '../../proto/generated/etcd/rpc.ts'
import { BackupFailed } from '../destination.ts'
import type { SourceMember } from '../source.ts'
import type { ReceivedRow } from './segment-builder.ts'

const ASK_TIMEOUT_MS = 5000
/** With it as key and end a range is of all keys. */
const ALL = Buffer.of(0)

export interface ChangeSource {
  readonly clusterId: string
  readonly endpoint: string
  /** Of the cluster, as its leader has it. */
  currentRevision(): Promise<number>
  /** From that revision on; its events come first. */
  watch(from: number): Watch
  /** As it was granted; undefined when there is no such lease any more. */
  ttlOf(lease: bigint): Promise<number | undefined>
}

export type WatchMessage =
  | {
      readonly kind: 'rows'
      readonly rows: readonly ReceivedRow[]
      readonly isFragment: boolean
      readonly revision: number
    }
  /** Everything up to `revision`, which is the member's, has come. */
  | { readonly kind: 'progress'; readonly revision: number }
  /** What was asked for is compacted. */
  | { readonly kind: 'compacted'; readonly revision: number }

export interface Watch {
  /** Rejects with {@link BackupFailed} when the watch has ended. */
  next(): Promise<WatchMessage>
  /** Answered once everything has come, and not before. */
  askProgress(): void
  cancel(): void
}

export function changeSource({ client, endpoint, status }: SourceMember): ChangeSource {
  const clusterId = formatId(status.header?.clusterId ?? 0n)
  const asking = async <Value>(ask: () => Promise<Value>): Promise<Value> => {
    try {
      return await ask()
    } catch (cause) {
      throw new BackupFailed(`${endpoint}: ${errorMessage(cause)}`, { cause })
    }
  }
  return {
    clusterId,
    endpoint,
    currentRevision: () =>
      asking(async () => {
        const request = RangeRequest.fromPartial({ key: ALL, rangeEnd: ALL, limit: 1n, keysOnly: true })
        const answer = await client.unary(
          '/etcdserverpb.KV/Range',
          RangeRequest.encode(request).finish(),
          ASK_TIMEOUT_MS,
        )
        return Number(RangeResponse.decode(answer).header?.revision ?? 0n)
      }),
    ttlOf: (lease) =>
      asking(async () => {
        const request = LeaseTimeToLiveRequest.encode({ ID: lease, keys: false }).finish()
        const answer = await client.unary('/etcdserverpb.Lease/LeaseTimeToLive', request, ASK_TIMEOUT_MS)
        const { TTL, grantedTTL } = LeaseTimeToLiveResponse.decode(answer)
        return TTL < 0n || grantedTTL < 1n ? undefined : Number(grantedTTL)
      }),
    watch: (from) => {
      const stream = client.duplex('/etcdserverpb.Watch/Watch')
      const messages = stream.messages[Symbol.asyncIterator]()
      stream.send(creation(from))
      const next = async (): Promise<WatchMessage> => {
        for (;;) {
          const read = await asking(() => messages.next())
          if (read.done === true) throw new BackupFailed(`${endpoint}: the watch has ended`)
          const message = messageOf(WatchResponse.decode(read.value), clusterId, endpoint)
          if (message !== undefined) return message
        }
      }
      return {
        next,
        askProgress: () =>
          stream.send(WatchRequest.encode({ requestUnion: { $case: 'progressRequest', value: {} } }).finish()),
        cancel: () => stream.cancel(),
      }
    },
  }
}

function creation(from: number): Uint8Array {
  const value = { key: ALL, rangeEnd: ALL, startRevision: BigInt(from), progressNotify: true, fragment: true }
  return WatchRequest.encode(WatchRequest.fromPartial({ requestUnion: { $case: 'createRequest', value } })).finish()
}

/** Undefined for what says nothing about changes. */
function messageOf(response: WatchResponse, clusterId: string, endpoint: string): WatchMessage | undefined {
  const { header, created, canceled, compactRevision, cancelReason, fragment, events } = response
  const revision = Number(header?.revision ?? 0n)
  const found = formatId(header?.clusterId ?? 0n)
  if (found !== clusterId)
    throw new BackupFailed(`${endpoint}: it is a member of cluster ${found} now, no longer of ${clusterId}`)
  if (compactRevision > 0n) return { kind: 'compacted', revision: Number(compactRevision) }
  if (canceled) throw new BackupFailed(`${endpoint}: the watch was ended: ${cancelReason}`)
  if (events.length > 0) return { kind: 'rows', rows: events.map(rowOf), isFragment: fragment, revision }
  return created ? undefined : { kind: 'progress', revision }
}

function rowOf({ type, kv = Buffer.alloc(0) }: Event): ReceivedRow {
  const { modRevision, lease } = KeyValue.decode(kv)
  return { isDelete: type === Event_EventType.DELETE, keyValue: kv, revision: Number(modRevision), lease }
}
