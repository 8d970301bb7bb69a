/** What the world looks like when the operator has done all it was asked for. */
import { EARLIER } from './builds.ts'
import { type StoredObject } from './api-server.ts'
import { at, numberAt, textAt, valueAt } from './json.ts'
import { conditionOf } from './kubelet.ts'
import { isTool } from './restores.ts'
import { tlsMissing } from './tls-edits.ts'
import type { World } from './world.ts'

/** What is still missing, the first thing only; undefined when nothing is. */
export function unsettled(world: World): string | undefined {
  const cluster = world.cluster()
  if (cluster === undefined) return world.isDeletionWanted ? leftovers(world) : 'the RaftCluster is gone'
  if (world.isDeletionWanted) return 'the RaftCluster is not deleted'
  return (
    membersMissing(world, cluster) ??
    objectsMissing(world, cluster) ??
    conditionsMissing(world, cluster) ??
    (world.hasTls ? tlsMissing(world) : undefined) ??
    world.stores.missing()
  )
}

function membersMissing({ raft, name }: World, cluster: StoredObject): string | undefined {
  const replicas = numberAt(cluster, 'spec', 'replicas')
  const wanted = ordinals(replicas).map((ordinal) => `${name}-${ordinal}`)
  const { members, voters, learners } = raft.configuration
  const voterNames = members.filter(({ id }) => voters.includes(id)).map((member) => member.name)
  if (voterNames.toSorted().join() !== wanted.join())
    return `voters are ${voterNames.join(', ')}, not ${wanted.join(', ')}`
  const lost = members.filter(({ id }) => raft.process(id)?.isUp !== true)
  if (lost.length > 0) return `${lost.map((member) => member.name).join(', ')} has lost its data or does not run`
  if (learners.length > 0) return `learners are left: ${learners.join(', ')}`
  const status = textAt(cluster, 'status', 'clusterID')
  return status === raft.clusterId ? undefined : `the recorded cluster is ${status}`
}

function objectsMissing(world: World, cluster: StoredObject): string | undefined {
  const { server, name } = world
  const replicas = numberAt(cluster, 'spec', 'replicas')
  const set = server.get('StatefulSet', name)
  if (numberAt(set, 'spec', 'ordinals', 'start') !== 0) return 'pods are held back'
  if (numberAt(set, 'spec', 'replicas') !== replicas)
    return `the StatefulSet has ${numberAt(set, 'spec', 'replicas')} replicas`
  const pods = server
    .list('Pod')
    .filter((pod) => !isTool(pod))
    .map(({ metadata }) => metadata.name)
  if (pods.length !== replicas) return `pods are ${pods.join(', ')}`
  const isKept = valueAt(cluster, 'spec', 'storage', 'retention', 'whenScaled') === 'Retain'
  const volumes = server.list('PersistentVolumeClaim')
  const extra = volumes.filter(({ metadata }) => Number(metadata.name.split('-').at(-1)) >= replicas)
  if (!isKept && extra.length > 0) return `volumes are left: ${extra.map(({ metadata }) => metadata.name).join(', ')}`
  const size = textAt(cluster, 'spec', 'storage', 'size')
  const small = volumes.filter(
    (volume) => !extra.includes(volume) && textAt(volume, 'spec', 'resources', 'requests', 'storage') !== size,
  )
  if (size !== '' && small.length > 0)
    return `volumes are not ${size}: ${small.map(({ metadata }) => metadata.name).join(', ')}`
  return ownersMissing(world, cluster, volumes) ?? outdated(world, set)
}

/** With whenDeleted Delete, and only then, volumes are the RaftCluster's, which needs no operator to be deleted in either case. */
function ownersMissing(
  { isVolumeKept }: World,
  { metadata: { uid, finalizers = [] } }: StoredObject,
  volumes: readonly StoredObject[],
): string | undefined {
  const isOwned = (volume: StoredObject): boolean =>
    volume.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true
  const wrong = volumes.find((volume) => isOwned(volume) === isVolumeKept)
  if (wrong !== undefined) return `${wrong.metadata.name} ${isVolumeKept ? 'has' : 'lacks'} an owner`
  return finalizers.length === 0 ? undefined : `${finalizers.join(', ')} holds the RaftCluster`
}

/** Every pod has what the template says now. */
function outdated({ server }: World, set: StoredObject | undefined): string | undefined {
  const revision = textAt(set, 'status', 'updateRevision')
  const old = server
    .list('Pod')
    .filter((pod) => !isTool(pod) && pod.metadata.labels?.['controller-revision-hash'] !== revision)
  return old.length === 0
    ? undefined
    : `made from an older template: ${old.map(({ metadata }) => metadata.name).join(', ')}`
}

function conditionsMissing({ build }: World, cluster: StoredObject): string | undefined {
  const operation = at(cluster, 'status')['operation']
  if (operation !== undefined) return `an operation is left in status: ${textAt(operation, 'id')}`
  // An earlier operator does not know whether pods are as a later one would make them.
  const isKept = build === EARLIER && conditionOf(cluster, 'UpToDate') === 'Unknown'
  for (const [type, status] of [
    ['Ready', 'True'],
    ['Progressing', 'False'],
    ['Degraded', 'False'],
    ['ScaleComplete', 'True'],
    ['Available', 'True'],
    ['QuorumLost', 'False'],
    ['UpToDate', 'True'],
    ['StorageReady', 'True'],
  ] as const)
    if (conditionOf(cluster, type) !== status && !(type === 'UpToDate' && isKept)) return `${type} is not ${status}`
  if (numberAt(cluster, 'status', 'observedGeneration') !== cluster.metadata.generation)
    return 'the last spec is not observed'
  return undefined
}

function leftovers({ server, isVolumeKept, lateVolumes }: World): string | undefined {
  const owned = [...server.all()].filter(({ kind }) => !['Lease', 'PersistentVolumeClaim'].includes(kind))
  if (owned.length > 0)
    return `left after the deletion: ${owned.map(({ kind, metadata }) => `${kind} ${metadata.name}`).join(', ')}`
  const volumes = server.list('PersistentVolumeClaim').filter(({ metadata }) => !lateVolumes.has(metadata.uid))
  if (!isVolumeKept && volumes.length > 0)
    return `volumes are left: ${volumes.map(({ metadata }) => metadata.name).join(', ')}`
  return undefined
}

function ordinals(count: number): readonly number[] {
  return Array.from({ length: count }, (_, ordinal) => ordinal)
}
