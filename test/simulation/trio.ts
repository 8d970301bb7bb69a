/** Three members that have a leader, for what is looked at on its own: nothing else happens in their world. */
import { CLUSTER } from './cluster-id.ts'
import type { SimulatedMember } from './member.ts'
import { firstMembers } from './nemesis.ts'
import { World, type WorldOptions } from './world.ts'

export interface Trio {
  readonly world: World
  readonly leader: SimulatedMember
  readonly follower: SimulatedMember
}

export function startTrio(options: Pick<WorldOptions, 'seed'> & Partial<WorldOptions>): Trio {
  const world = new World({
    snapshotCount: 10_000,
    catchUpEntries: 10_000,
    quotaBytes: -1,
    drift: 0,
    narrow: undefined,
    ...options,
  })
  const members = ['m1', 'm2', 'm3'].map((name) => world.addMember(name))
  for (const member of members) member.start(firstMembers(members, member, CLUSTER))
  world.run(3000)
  const leader = members.find(({ isLeader }) => isLeader)
  const follower = members.find((member) => member !== leader)
  if (leader === undefined || follower === undefined) throw new Error('there is no leader')
  return { world, leader, follower }
}

/** Entries that the follower furthest behind lacks. */
export function lagOf({ life }: SimulatedMember): number {
  const { peers = [], lastIndex = 0 } = life?.lifecycle.running?.replica.raftStatus() ?? {}
  return peers.length === 0 ? Infinity : Math.max(...peers.map(({ match }) => lastIndex - match))
}
