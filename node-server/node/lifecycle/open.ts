/** From a data directory to the parts of a running member: made for the first time, or recovered as storage/recovery.ts decides. */
import { assert, unreachable } from '../../../lib/assert.ts'
import { LogIndex, NOBODY, Term, type ClusterId, type MemberId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { AdminChange } from '../../../lib/admin-api.ts'
import { formatId } from '../../../lib/ids.ts'
import type { Member } from '../../mvcc/command.ts'
import { isRemovedMember, putMember, recordOperation } from '../../mvcc/members.ts'
import { StoreDamaged } from '../../mvcc/backend.ts'
import { MemoryBackend } from '../../mvcc/memory-backend.ts'
import { META_KEY } from '../../mvcc/meta.ts'
import { advanceApplied, Store } from '../../mvcc/store.ts'
import { createRaft, type Raft, type RaftOptions } from '../../raft/raft.ts'
import type { Configuration } from '../../raft/message.ts'
import { EMPTY_CONFIGURATION } from '../../raft/membership.ts'
import {
  createMember,
  memberPaths,
  noteFormat,
  RESTORING,
  type MemberPaths,
  type StoredIdentity,
} from '../../storage/data-directory.ts'
import type { Identity } from '../../storage/record.ts'
import { foundLog, foundStore, recover, REPLACE_MEMBER, type FoundStore } from '../../storage/recovery.ts'
import { replay, type WalContents } from '../../storage/wal-replay.ts'
import { linkWalDirectory } from '../../storage/wal-directory.ts'
import type { Volume } from '../../storage/volume.ts'
import { Wal, type WalOptions } from '../../storage/wal.ts'
import { decodeConfiguration } from '../membership/configuration.ts'
import { forceNewCluster, type Recovered } from './force-new-cluster.ts'
import { noteConfiguration } from '../membership/membership.ts'
import type { NodeOptions } from '../options.ts'
import {
  hasReceived,
  installSnapshot,
  markDamaged,
  openStore,
  removeAllBut,
  type NamedStore,
} from '../maintenance/snapshots.ts'
import type { StorePlace } from '../maintenance/store-files.ts'
import { damagedStores, FIRST_STORE, newestStore, storePath } from '../maintenance/store-name.ts'

/** `bootstrap`: these members are a new cluster. `join`: a cluster that is there has added this member. */
export interface StartPlan {
  readonly kind: 'bootstrap' | 'join'
  readonly clusterId: ClusterId
  readonly memberId: MemberId
  readonly name: string
  readonly members: readonly Member[]
  /** Of the admin API's request; empty for a start by flags. */
  readonly operationId: string
}

/** Where a new cluster's log begins: every first member has the same state at this place, so none needs an entry for it. */
const GENESIS = { index: LogIndex(1), term: Term(1) } as const
const NOTHING = { index: LogIndex(0), term: Term(0) } as const

export function createDataDirectory(
  volume: Volume,
  dataDirectory: string,
  plan: StartPlan,
  walDirectory?: string,
): Promise<StoredIdentity> {
  const member = { ...plan, incarnation: volume.newIncarnation() }
  return createMember(volume.disk, dataDirectory, member, async (paths, identity) => {
    if (walDirectory !== undefined) await linkWalDirectory(walDirectory, paths.wal)
    await fillDirectory(volume, paths, identity, plan)
  })
}

/**
 * The same with a store that is not empty: `placeStore` writes it, prepared for a new cluster, to the path that it is
 * given. A crash on the way leaves a directory that no member starts on, and that this may be called on again.
 */
export function restoreDataDirectory(
  volume: Volume,
  dataDirectory: string,
  plan: StartPlan,
  placeStore: (path: string) => Promise<void>,
): Promise<StoredIdentity> {
  const fill = async (paths: MemberPaths, identity: Identity): Promise<void> => {
    await placeStore(storePath(paths, FIRST_STORE))
    await fillDirectory(volume, paths, identity, plan)
  }
  const member = { ...plan, incarnation: volume.newIncarnation() }
  return createMember(volume.disk, dataDirectory, member, fill, RESTORING)
}

async function fillDirectory(volume: Volume, paths: MemberPaths, identity: Identity, plan: StartPlan): Promise<void> {
  const store = await openStore(volume, paths)
  for (const member of plan.members) putMember(store, member)
  if (plan.kind === 'bootstrap') writeGenesis(store, plan)
  // Not replicated yet, but where to find the others; the first snapshot brings the members as the cluster knows them.
  else store.update({})
  await store.close()
  await createWal(volume, paths, identity, plan)
}

function writeGenesis(store: Store, plan: StartPlan): void {
  const configuration: Configuration = {
    ...EMPTY_CONFIGURATION,
    voters: plan.members.map(({ id }) => id).toSorted(ascending),
  }
  noteConfiguration(store, GENESIS.index, configuration, plan.operationId)
  if (plan.operationId !== '') {
    const result: AdminChange = {
      operationId: plan.operationId,
      memberId: formatId(plan.memberId),
      clusterId: formatId(plan.clusterId),
      configIndex: GENESIS.index,
    }
    recordOperation(store, GENESIS.index, plan.operationId, Buffer.from(JSON.stringify(result)))
  }
  advanceApplied(store, GENESIS)
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

async function createWal(volume: Volume, paths: MemberPaths, identity: Identity, plan: StartPlan): Promise<void> {
  const base = plan.kind === 'bootstrap' ? GENESIS : NOTHING
  const state = { identity, base, hardState: { term: base.term, vote: NOBODY, commit: base.index } }
  const wal = await Wal.create(volume.disk, paths.wal, state, { ...volume.walSizes, onSync: () => {} })
  await wal.close()
}

export interface OpenedMember {
  readonly raft: Raft
  readonly wal: Wal
  readonly store: Store
  readonly place: StorePlace
  /** Where the store is damaged: `store` is an empty one in its place. */
  readonly damage: string | undefined
}

/** For the user whose member does not start. */
export function removedReason(dataDirectory: string): string {
  return `${dataDirectory} is the directory of a member that its cluster has removed: use an empty directory, and add the member again`
}

/** The error says in words why the directory cannot be used, and what to do. */
export async function openDataDirectory(
  volume: Volume,
  dataDirectory: string,
  identity: StoredIdentity,
  options: NodeOptions,
  isNewClusterForced = false,
): Promise<Result<OpenedMember, string>> {
  const { disk } = volume
  const paths = memberPaths(dataDirectory)
  const contents = await replay(disk, paths.wal)
  if (!contents.ok) return contents
  const { state } = contents.value
  if (!isSame(state.identity, identity))
    return err(
      `the log in ${paths.wal} is that of another member or directory: the files of two data directories are mixed; put them back where they belong, or ${REPLACE_MEMBER}`,
    )
  if (contents.value.tornBytes > 0)
    options.log.warn(
      { bytes: contents.value.tornBytes },
      'cut the torn tail of the log: a write that was never answered',
    )
  const recovered = await recoverStore(volume, dataDirectory, contents.value)
  if (!recovered.ok) return recovered
  const { store, name, commitIndex, damage } = recovered.value
  const isRemoved = await firstRead(
    () => isRemovedMember(store, identity.memberId),
    store,
    () => markDamaged(disk, paths, name),
  )
  if (isRemoved === 'damaged') return openDataDirectory(volume, dataDirectory, identity, options, isNewClusterForced)
  if (isRemoved) {
    // The process was killed before the identity file said so.
    await store.close()
    return err(removedReason(dataDirectory))
  }
  if (damage === undefined) await removeAllBut(disk, paths, name)
  else if (isNewClusterForced)
    return err(`the store is damaged (${damage}): this member cannot become a cluster of its own; use another one`)
  const walOptions: WalOptions = {
    ...volume.walSizes,
    onSync: (seconds) => options.observer.walFsync(seconds),
  }
  const wal = await Wal.resume(disk, paths.wal, contents.value, walOptions)
  const { entries } = contents.value
  const found: Recovered = { hardState: { ...state.hardState, commit: commitIndex }, entries }
  const log = isNewClusterForced
    ? await forceNewCluster({ identity, wal, store, recovered: found, options })
    : ok(found)
  if (!log.ok) {
    await store.close()
    await wal.close()
    return log
  }
  const raft = createRaft(raftOptions(identity.memberId, options), {
    ...log.value,
    base: state.base,
    configuration: decodeConfiguration(store.meta.configuration),
    configIndex: store.meta.configIndex,
    // Without its store it knows of nothing that was applied but what the log begins behind.
    applied: damage === undefined ? store.appliedIndex : state.base.index,
  })
  return ok({ raft, wal, store, place: { volume, paths, name }, damage })
}

/** The first read of a store that could be opened may find it damaged: it is put aside, as a running member does. */
async function firstRead(
  read: () => boolean,
  store: Store,
  putAside: () => Promise<void>,
): Promise<boolean | 'damaged'> {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof StoreDamaged)) throw error
    await store.close()
    await putAside()
    return 'damaged'
  }
}

async function recoverStore(
  volume: Volume,
  dataDirectory: string,
  contents: WalContents,
): Promise<Result<NamedStore & { readonly commitIndex: LogIndex; readonly damage: string | undefined }, string>> {
  const paths = memberPaths(dataDirectory)
  const refusal = await takeOver(volume, dataDirectory)
  if (refusal !== undefined) return err(refusal)
  const newest = await newestStore(volume.disk, paths)
  const [damaged] = await damagedStores(volume.disk, paths)
  const opened = newest === undefined ? missing(damaged) : await tryOpenStore(volume, storePath(paths, newest))
  const store = opened.kind === 'opened' ? opened.store : undefined
  const log = foundLog(contents)
  const recovery = recover({
    log,
    store:
      opened.kind === 'opened'
        ? foundStore(contents, { index: opened.store.appliedIndex, term: opened.store.appliedTerm })
        : opened,
    snapshots: (await hasReceived(volume, paths, log.baseIndex)) ? [log.baseIndex] : [],
  })
  switch (recovery.kind) {
    case 'refuse':
      await store?.backend.close() // nothing on the disk changes
      return err(recovery.reason)
    case 'install-snapshot':
      await store?.backend.close()
      return ok({
        ...(await installSnapshot(volume, paths, recovery.index, newest)),
        commitIndex: log.commitIndex,
        damage: undefined,
      })
    case 'run-without-store': {
      const { commitIndex, damage } = recovery
      return ok({ store: new Store(new MemoryBackend()), name: newest ?? FIRST_STORE, commitIndex, damage })
    }
    case 'run':
      assert(store !== undefined && newest !== undefined, 'only a store that is there can run')
      return ok({ store, name: newest, commitIndex: recovery.commitIndex, damage: undefined })
    default:
      return unreachable(recovery)
  }
}

/** Why stores of the version before are not taken over, and what to do. */
async function takeOver(volume: Volume, dataDirectory: string): Promise<string | undefined> {
  const { db } = memberPaths(dataDirectory)
  const note = (): Promise<void> => noteFormat(volume.disk, dataDirectory)
  try {
    await volume.stores.takeOver(db, note)
    await note() // where there was nothing to be taken over
    return undefined
  } catch (error) {
    const room = 'it needs as much space again until it is done: enlarge the volume and start again'
    const reason = error instanceof Error ? error.message : String(error)
    return `the store of the version before in ${db} could not be taken over (${reason}); ${room}, or ${REPLACE_MEMBER}`
  }
}

type OpenedStore = { readonly kind: 'opened'; readonly store: Store } | Exclude<FoundStore, { kind: 'there' }>

/** Never made here: a store that is missing is not an empty one. */
function missing(damaged: string | undefined): OpenedStore {
  return damaged === undefined ? { kind: 'missing' } : { kind: 'damaged', problem: damaged }
}

async function tryOpenStore(volume: Volume, path: string): Promise<OpenedStore> {
  try {
    const store = new Store(await volume.stores.open(path))
    if (store.backend.get('meta', META_KEY) !== undefined) return { kind: 'opened', store }
    await store.backend.close()
    return { kind: 'unreadable', problem: `${path} is empty` }
  } catch (error) {
    if (error instanceof StoreDamaged) return { kind: 'damaged', problem: error.message }
    return { kind: 'unreadable', problem: error instanceof Error ? error.message : String(error) }
  }
}

function isSame(a: Identity, b: Identity): boolean {
  return a.clusterId === b.clusterId && a.memberId === b.memberId && a.incarnation === b.incarnation
}

function raftOptions(id: MemberId, options: NodeOptions): RaftOptions {
  const { flow, electionMs, heartbeatMs, random } = options
  return {
    id,
    heartbeatTicks: 1,
    electionTicks: Math.max(2, Math.round(electionMs / heartbeatMs)),
    maxMessageSizeBytes: flow.messageSizeBytes,
    maxInflightMessages: flow.inFlightMessages,
    maxInflightSizeBytes: flow.inFlightSizeBytes,
    maxUncommittedSizeBytes: flow.uncommittedSizeBytes,
    maxCommittedSizeBytesPerReady: flow.committedSizeBytesPerReady,
    random,
  }
}
