/**
 * A follower comes back so far behind that it needs a snapshot, which takes a while, and writes go on all the time, enough
 * to cut the log again and again. One snapshot must do, unless it is lost on its way.
 */
import { COMMIT_DELAY_MS } from '../../node-server/mvcc/committer.ts'
import { PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { CLUSTER } from './cluster-id.ts'
import type { SimulatedMember } from './member.ts'
import { outsideOfMicrotasks } from './microtasks.ts'
import { firstMembers } from './nemesis.ts'
import { World } from './world.ts'

const WRITE_INTERVAL_MS = 4
/** Several commits of the store, at each of which the log is cut, long. */
const SNAPSHOT_MS = 3500
const AWAY_MS = 2500
/** After the snapshot has arrived. */
const CATCHING_UP_MS = 1500
const STAYING_MS = 3000
/** On their way at any moment. */
const MAX_LAG = 10
/** What comes in between two cuts, twice. */
const MAX_KEPT = 2 * (COMMIT_DELAY_MS / WRITE_INTERVAL_MS)

/** What is wrong; undefined when all is well. */
function catchUp(seed: number): string | undefined {
  const world = new World({ seed, snapshotCount: 40, catchUpEntries: 20, quotaBytes: -1, drift: 0, narrow: undefined })
  world.faults.snapshotMs = SNAPSHOT_MS
  const members = ['m1', 'm2', 'm3'].map((name) => world.addMember(name))
  for (const member of members) member.start(firstMembers(members, member, CLUSTER))
  world.run(3000)
  const leader = members.find(({ isLeader }) => isLeader)
  const follower = members.find(({ isLeader }) => !isLeader)
  if (leader === undefined || follower === undefined) return 'there is no leader'
  write(world, leader)
  follower.crash(world.choose)
  world.run(AWAY_MS)
  follower.start()
  world.run(SNAPSHOT_MS + CATCHING_UP_MS)
  const lag = lagOf(leader)
  if (lag > MAX_LAG) return `it is ${lag} entries behind when it should have caught up`
  world.run(STAYING_MS)
  if (!leader.isLeader) return 'the leader was lost'
  const sent = world.coverage.counts.get('snapshot sent to a follower') ?? 0
  if (sent !== 1) return `it got ${sent} snapshots`
  const kept = keptBy(leader)
  return kept > MAX_KEPT ? `${kept} entries of the log are kept for nobody` : undefined
}

function write(world: World, leader: SimulatedMember): void {
  const put = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from('a') })).finish()
  const next = (): void => {
    leader.life?.clock.enter(() => void leader.life?.port?.propose('put', put))
    world.after(WRITE_INTERVAL_MS, next)
  }
  next()
}

/** Of the peer that is furthest behind. */
function lagOf(leader: SimulatedMember): number {
  const peers = leader.life?.lifecycle.status().peers ?? []
  return peers.length === 0 ? Infinity : Math.max(...peers.map((peer) => peer.lag))
}

function keptBy(leader: SimulatedMember): number {
  const log = leader.life?.lifecycle.running?.node.raft.log
  return log === undefined ? 0 : log.committed - log.base.index
}

/** Runs some seeds until one goes wrong. */
export async function findWrong(seeds: number): Promise<{ readonly tried: number; readonly wrong: string | undefined }> {
  for (let seed = 1; seed <= seeds; seed++) {
    const wrong = await outsideOfMicrotasks(() => catchUp(seed)).catch(String)
    if (wrong !== undefined) return { tried: seed, wrong }
  }
  return { tried: seeds, wrong: undefined }
}
