/**
 * One fixed life of a cluster (formed, grown, rolled out, a lost volume replaced, shrunk, deleted), in which the operator
 * ends at one given call: enumerated, every call of it, right before and right after it took effect.
 */
import { emptyDisk } from './member-process.ts'
import { outsideOfMicrotasks } from '../simulation/microtasks.ts'
import { type Outcome, outcomeOf, settle } from './run-seed.ts'
import { PLAIN } from './tls-edits.ts'
import { type CrashPoint, World } from './world.ts'

/** What has changed is seen by then, though nothing may follow from it yet. */
const SEEN_MS = 6000

/** Undefined: it ends nowhere, and `calls` says how many points there are. */
export function runCrashPoint(crash: CrashPoint | undefined): Promise<Outcome> {
  return outsideOfMicrotasks(() => {
    const world = new World(7, crash)
    const storage = { size: '10Gi', retention: { whenDeleted: 'Delete', whenScaled: 'Delete' } }
    world.isVolumeKept = false
    world.createCluster({ ...PLAIN, replicas: 1, scaling: { learnerTimeoutSeconds: 15 }, storage })
    world.startOperators(1)
    const stages = [
      () => undefined,
      () => world.edit({ replicas: 3 }),
      () => world.edit({ image: { tag: '2' } }),
      () => loseData(world),
      () => world.edit({ replicas: 1 }),
      () => {
        world.isDeletionWanted = true
        world.server.delete('RaftCluster', world.name)
      },
    ]
    for (const stage of stages) {
      if (world.failure !== undefined) break
      world.oracle.isQuiet = false
      stage()
      world.runFor(SEEN_MS)
      settle(world)
    }
    return outcomeOf(7, world)
  })
}

/** Of a follower: a wiped disk under a running member. */
function loseData(world: World): void {
  const { raft } = world
  const id = raft.configuration.voters.find((voter) => voter !== raft.leader)
  const member = id === undefined ? undefined : raft.process(id)
  if (member !== undefined) Object.assign(member.disk, emptyDisk())
}
