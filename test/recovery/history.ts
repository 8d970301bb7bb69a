/**
 * The one history of the cluster in these tests: what its leader has in its log, and the state that each prefix of it
 * gives, computed once by applying it in order, without a disk that fails and without restarts.
 */
import { ClusterId, LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { encodeCommand, type Command } from '../../node-server/mvcc/command.ts'
import { hashState } from '../../node-server/mvcc/testing/hash-state.ts'
import type { Store } from '../../node-server/mvcc/store.ts'
import { opDelete, opPut, putRequest, txnRequest } from '../../node-server/mvcc/testing/requests.ts'
import { Applier, type Outcome } from '../../node-server/node/apply/applier.ts'
import { decodeConfiguration } from '../../node-server/node/membership/configuration.ts'
import { createDataDirectory } from '../../node-server/node/lifecycle/open.ts'
import { openStore } from '../../node-server/node/maintenance/snapshots.ts'
import { Waiters } from '../../node-server/node/apply/waiters.ts'
import {
  CompactionRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  PutRequest,
  TxnRequest,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import type { Entry, SnapshotMeta } from '../../node-server/raft/message.ts'
import { memberPaths } from '../../node-server/storage/data-directory.ts'
import { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import { VirtualClock } from '../../node-server/node/testing/virtual-clock.ts'
import type { Volume } from '../../node-server/storage/volume.ts'
import { simulatedVolume, type States } from '../simulation/volume.ts'
import { bootstrapPlan, DATA, nodeOptions, OWN } from './member-process.ts'

export const CLUSTER = ClusterId(0xc1n)
/** Entry by which the cluster removes member 1. Before it, all is as if nobody thought of that. */
export const REMOVAL = LogIndex(61)
export const LAST = LogIndex(REMOVAL - 1)
/** The snapshots that the leader can send hold the entries up to one of these. */
export const SNAPSHOTS = [LogIndex(20), LogIndex(40)] as const

/** Terms go up, as after elections. */
export function termAt(index: number): Term {
  if (index <= 1) return Term(1)
  return Term(index <= 25 ? 2 : 4)
}

export function entryAt(index: number): Entry {
  const base = { index: LogIndex(index), term: termAt(index) }
  if (index === REMOVAL) {
    const change = { kind: 'remove', memberId: OWN } as const
    const command = { kind: 'membership', requestId: 0n, operationId: 'away', expectedConfigIndex: undefined, change }
    return { ...base, kind: 'config', data: encodeCommand({ ...command, kind: 'membership' }) }
  }
  const isFirstOfTerm = termAt(index - 1) !== base.term
  return { ...base, kind: 'normal', data: isFirstOfTerm ? Buffer.alloc(0) : encodeCommand(commandAt(index)) }
}

function commandAt(index: number): Command {
  const key = `key ${index % 7}`
  const command = (kind: 'put' | 'delete-range' | 'txn' | 'compact' | 'lease-grant', request: Uint8Array): Command => {
    return { kind, requestId: 0n, request }
  }
  switch (index % 6) {
    case 0:
      return command(
        'delete-range',
        DeleteRangeRequest.encode({ key: Buffer.from(key), rangeEnd: Buffer.alloc(0), prevKv: false }).finish(),
      )
    case 1:
      return command(
        'txn',
        TxnRequest.encode(txnRequest([opPut(`txn ${index}`, 'x'.repeat(60)), opDelete('key 3')])).finish(),
      )
    case 2:
      if (index % 18 === 2)
        return command('compact', CompactionRequest.encode({ revision: BigInt(index >> 1), physical: false }).finish())
      return command('lease-grant', LeaseGrantRequest.encode({ ID: BigInt(index), TTL: 60n }).finish())
    default:
      return command('put', PutRequest.encode(putRequest(key, `${index} `.repeat(index % 4 === 0 ? 400 : 20))).finish())
  }
}

export interface History {
  /** Digest of the state after that entry. */
  readonly hashes: ReadonlyMap<number, string>
  /** The stream of a store that has applied up to that entry. */
  readonly stores: ReadonlyMap<number, Buffer>
  readonly snapshots: ReadonlyMap<number, { readonly meta: SnapshotMeta; readonly bytes: Buffer }>
}

export async function computeHistory(states: States): Promise<History> {
  const disk = new MemoryDisk()
  const volume = simulatedVolume(disk, disk, states, () => 1n)
  const hashes = new Map<number, string>()
  const stores = new Map<number, Buffer>()
  const snapshots = new Map<number, { meta: SnapshotMeta; bytes: Buffer }>()
  await applyHistory(volume, DATA, async (store) => {
    const { appliedIndex: index, configuration, configIndex } = store.meta
    hashes.set(index, hashState(store))
    const bytes = await streamOf(store)
    stores.set(index, bytes)
    if (!SNAPSHOTS.some((at) => at === index)) return
    const place = { index, term: termAt(index), configIndex }
    snapshots.set(index, { meta: { ...place, configuration: decodeConfiguration(configuration) }, bytes })
  })
  return { hashes, stores, snapshots }
}

/** The streams of stores of that volume, at these entries. */
export async function writeStores(
  volume: Volume,
  directory: string,
  indexes: readonly number[],
): Promise<ReadonlyMap<number, Buffer>> {
  const stores = new Map<number, Buffer>()
  await applyHistory(volume, directory, async (store) => {
    const index = store.appliedIndex
    if (indexes.includes(index)) stores.set(index, await streamOf(store))
  })
  return stores
}

async function streamOf(store: Store): Promise<Buffer> {
  await store.commit()
  const pinned = await store.backend.pin()
  const bytes = Buffer.concat(await Array.fromAsync(pinned.read()))
  await pinned.release()
  return bytes
}

/** Calls `visit` after every entry. */
async function applyHistory(volume: Volume, directory: string, visit: (store: Store) => Promise<void>): Promise<void> {
  await createDataDirectory(volume, directory, bootstrapPlan(CLUSTER))
  const store = await openStore(volume, memberPaths(directory))
  const parts = { clusterId: CLUSTER, waiters: new Waiters<Outcome>(1), options: nodeOptions(new VirtualClock()) }
  const onFatal = (error: unknown): never => {
    throw error
  }
  const applier = new Applier({ ...parts, store, onFatal }, EVENTS)
  await visit(store)
  for (let index = 2; index <= REMOVAL; index++) {
    await applier.apply([entryAt(index)])
    await visit(store)
  }
  await store.close()
}

const EVENTS = {
  onConfigChange: ignore,
  onMembersChanged: ignore,
  onTermBegan: ignore,
  onLease: ignore,
  onAuth: ignore,
}

function ignore(): void {
  // of no interest here
}

export const LEADER = MemberId(2n)
