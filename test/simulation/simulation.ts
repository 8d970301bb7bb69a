/** One run: a cluster under faults, then in peace, and what must be true at its end. */
import { listLeases } from '../../node-server/mvcc/lease.ts'
import { lastIndex } from '../../node-server/raft/log.ts'
import { Administrator } from './administrator.ts'
import { SimulatedClient } from './clients.ts'
import { CLUSTER } from './cluster-id.ts'
import type { Coverage } from './coverage.ts'
import { mixture } from './faults.ts'
import type { SimulatedMember } from './member.ts'
import { NARROW } from './narrow.ts'
import { Disturber, firstMembers } from './nemesis.ts'
import { demand } from './oracle.ts'
import type { CallRecord, WatchRecord } from './recording.ts'
import { Watcher } from './watchers.ts'
import { World } from './world.ts'

export interface SimulationOptions {
  readonly seed: number
  /** Time under faults, in simulated milliseconds. */
  readonly faultMs: number
  /** First members; drawn from the seed when absent. */
  readonly members?: number
}

export interface Run {
  readonly seed: number
  readonly coverage: Coverage
  readonly calls: readonly CallRecord[]
  readonly watches: readonly WatchRecord[]
  readonly commits: number
  /** From the first start to the end. */
  readonly simulatedMs: number
  /** Of the fastest clock, as a share of its speed. */
  readonly clockDrift: number
  /** The last things that happened. */
  readonly events: readonly string[]
  /** The first broken invariant, and what happened before. */
  readonly failure: { readonly error: Error; readonly events: readonly string[] } | undefined
}

const CLIENTS = 5
const WATCHERS = 3
const CLIENT_PAUSE_MS = 250
const HEALING_MS = 60_000
/** Longer than the longest TTL, and than a new leader may extend it. */
const SETTLING_MS = 12_000
const EVENTS_SHOWN = 80

/** Not to be called from a promise: see microtasks.ts. */
export function simulate(options: SimulationOptions): Run {
  const calls: CallRecord[] = []
  const watches: WatchRecord[] = []
  const world = createWorld(options)
  const finish = (failure: Run['failure']): Run => ({
    seed: options.seed,
    coverage: world.coverage,
    calls,
    watches,
    clockDrift: world.options.drift,
    commits: world.oracle.checker.commits,
    simulatedMs: world.schedule.now,
    events: world.log.last(EVENTS_SHOWN),
    failure,
  })
  try {
    live(world, options, calls, watches)
    return finish(undefined)
  } catch (error) {
    const reason = error instanceof Error ? error : new Error(String(error))
    return finish({ error: reason, events: world.log.last(EVENTS_SHOWN) })
  }
}

function createWorld({ seed }: SimulationOptions): World {
  const isTight = seed % 10 === 3
  return new World({
    seed,
    snapshotCount: 40,
    catchUpEntries: 20,
    quotaBytes: isTight ? 24 * 1024 : -1,
    drift: seed % 3 === 0 ? 0.03 : 0,
    narrow: seed % 10 === 7 ? NARROW : undefined,
  })
}

function live(world: World, options: SimulationOptions, calls: CallRecord[], watches: WatchRecord[]): void {
  const { random } = world
  const mixed = mixture(options.seed, random)
  const count = options.members ?? random.pick([1, 2, 3, 3, 3, 4, 5, 5, 5, 7]) ?? 3
  for (let i = 1; i <= count; i++) world.addMember(`m${i}`).isInUse = true
  for (const member of world.members) member.start(firstMembers(world.members, member, CLUSTER))
  world.run(3000)
  const clients = Array.from({ length: CLIENTS }, (_, i) => new SimulatedClient(world, i + 1, calls))
  for (const client of clients) world.begin(() => client.run(CLIENT_PAUSE_MS))
  const watchers = Array.from({ length: WATCHERS }, (_, i) => new Watcher(world, i + 1, watches))
  for (const watcher of watchers) world.begin(() => watcher.run())
  const administrators = [new Administrator(world, 'admin')]
  const disturber = new Disturber(world, mixed, administrators)
  world.run(options.faultMs)
  disturber.end()
  heal(world, disturber, administrators)
  for (const client of clients) client.end()
  world.run(SETTLING_MS)
  for (const watcher of watchers) watcher.end()
  readAtEnd(world, clients)
  checkEnd(world)
}

/** What nobody has read since could be anything: one read sees all of it. */
function readAtEnd(world: World, [client]: readonly SimulatedClient[]): void {
  const leader = leaderOf(world)
  demand(leader !== undefined && client !== undefined, '10: there is no leader after the faults ended')
  let isRead = false
  world.begin(async () => void (isRead = await client.readAll(leader)))
  world.run(2000)
  demand(isRead, '10: a read fails after the faults ended')
}

/** 10: after the faults ended, all that are part of the cluster run and agree again within a bounded time. */
function heal(world: World, disturber: Disturber, administrators: readonly Administrator[]): void {
  const until = world.schedule.now + HEALING_MS
  do {
    world.run(500)
    for (const member of world.members) if (member.isInUse && member.state.kind === 'down') member.start()
    disturber.replaceLost()
    for (const administrator of administrators) world.begin(() => administrator.tidy())
  } while (missingToWhole(world, administrators) !== undefined && world.schedule.now < until)
  const missing = missingToWhole(world, administrators)
  demand(
    missing === undefined,
    `10: the cluster is not whole ${HEALING_MS / 1000} s after the faults ended: ${missing}`,
  )
}

/** What still stands against it. */
function missingToWhole(world: World, administrators: readonly Administrator[]): string | undefined {
  if (administrators.some(({ isBusy }) => isBusy)) return 'a membership change is under way'
  const inUse = world.members.filter((member) => member.isInUse)
  const notServing = inUse.find(
    ({ isDamaged, isStopping, isWithoutStore, life }) =>
      isDamaged || isStopping || isWithoutStore || life?.services === undefined,
  )
  if (notServing !== undefined) return `${notServing.name} does not serve`
  const status = leaderOf(world)?.life?.lifecycle.status()
  if (status === undefined) return 'there is no leader'
  if (status.learners.length > 0) return `${status.learners.join(', ')} is a learner`
  if (status.isChangePending) return 'a membership change is pending'
  if (status.members.length !== inUse.length)
    return `${status.members.length} members, but ${inUse.map(({ name }) => name).join(', ')} are in use`
  const behind = status.peers.find(({ lag }) => lag !== 0)
  return behind && `${behind.id} is behind`
}

function leaderOf(world: World): SimulatedMember | undefined {
  return world.members.find(({ isLeader }) => isLeader)
}

function checkEnd(world: World): void {
  const leader = leaderOf(world)?.life?.lifecycle.running?.replica
  demand(leader !== undefined, '10: there is no leader after the faults ended')
  for (const { name, life, isInUse } of world.members) {
    const node = life?.lifecycle.running?.replica
    if (!isInUse || node === undefined) continue
    const isCaughtUp = node.store.appliedIndex === lastIndex(leader.raft.log)
    demand(isCaughtUp, `10: ${name} has applied ${node.store.appliedIndex} of ${lastIndex(leader.raft.log)} entries`)
    world.oracle.sameState(node.store, name)
    const leases = listLeases(node.store)
    demand(
      leases.length === 0,
      `6: ${name} still has ${leases.length} leases that nobody has renewed for twice their TTL`,
    )
  }
}
