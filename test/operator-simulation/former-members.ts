/** What must hold for members whose history a recovery has ended. The answers say what is wrong; undefined: nothing. */
import type { AdminStatus } from '../../lib/admin-api.ts'
import type { Disk } from './member-process.ts'
import { listAt } from './json.ts'
import type { World } from './world.ts'

/** Together they might go on with what was given up: none runs once the operator knows that it is no member. */
export function formerPod(
  world: World,
  leader: AdminStatus,
  { start, end }: { readonly start: number; readonly end: number },
): string | undefined {
  const running = formerVolumes(world).find(
    ({ ordinal, disk }) => ordinal >= start && ordinal < end && leader.members.every(({ id }) => id !== disk.memberId),
  )
  return running && `ordinal ${running.ordinal} runs on the data of ${running.disk.memberId}, which a recovery gave up`
}

/**
 * That volume is about to be deleted. While fewer than two voters have what the survivor had, and a second one is wanted,
 * only one whose place the next member needs may be: no other wanted ordinal can have a pod without one of the former
 * members having one too.
 */
export function formerVolumeGone(world: World, name: string, replicas: number): string | undefined {
  const former = formerVolumes(world).map(({ ordinal }) => ordinal)
  if (!former.includes(ordinalOf(name))) return undefined
  const { members, voters } = world.raft.configuration
  const holders = [...world.kubelet.disks.values()].filter(
    ({ clusterId, memberId, applied }) =>
      clusterId === world.raft.clusterId && voters.includes(memberId) && applied >= world.raft.recoveredAt,
  )
  const wanted = Array.from({ length: replicas }, (_, ordinal) => ordinal)
  const voting = members.filter(({ id }) => voters.includes(id)).map((member) => ordinalOf(member.name))
  if (holders.length >= 2 || wanted.every((ordinal) => voting.includes(ordinal))) return undefined
  const own = members.map((member) => ordinalOf(member.name)).filter((ordinal) => ordinal !== Infinity)
  const given = givenUp(world)
  const isFree = (ordinal: number): boolean => {
    const [low, high] = [Math.min(ordinal, ...own), Math.max(ordinal, ...own)]
    return [...former, ...given].every((other) => other < low || other > high)
  }
  if (own.length <= 1 && !wanted.some((ordinal) => !own.includes(ordinal) && isFree(ordinal))) return undefined
  return `${name} is deleted, and ${holders.length} voter has what the survivor had`
}

/**
 * Places whose volumes the operator has written down as given up. Whether such a member had been removed before, so that
 * nothing is lost with its volume, nobody could tell it.
 */
function givenUp({ server, name }: World): readonly number[] {
  const uids = listAt(server.get('RaftCluster', name), 'status', 'staleVolumes')
  const volumes = server.list('PersistentVolumeClaim').filter(({ metadata }) => uids.includes(metadata.uid))
  return volumes.map(({ metadata }) => ordinalOf(metadata.name))
}

/** Volumes that are there to stay, with what such members had. */
function formerVolumes({
  server,
  kubelet,
  raft,
  restores,
}: World): readonly { readonly ordinal: number; readonly disk: Disk }[] {
  return server.list('PersistentVolumeClaim').flatMap(({ metadata }) => {
    const disk = kubelet.disks.get(metadata.uid)
    const isFormer =
      disk !== undefined &&
      (restores.replaced.has(disk.clusterId) || (disk.clusterId === raft.clusterId && raft.former.has(disk.memberId)))
    return isFormer && metadata.deletionTimestamp === undefined ? [{ ordinal: ordinalOf(metadata.name), disk }] : []
  })
}

/** Infinity for a member that is no pod of ours. */
export function ordinalOf(name: string): number {
  const digits = /-(\d+)$/.exec(name)?.[1]
  return digits === undefined ? Infinity : Number(digits)
}
