/** What people do to the RaftCluster, at any moment. */
import type { Fault } from './coverage.ts'
import { at } from './json.ts'
import type { World } from './world.ts'

export const SIZES = [1, 3, 5]

export const EDITS: readonly (readonly [fault: Fault, edit: (world: World) => boolean])[] = [
  ['spec: replicas', (world) => resize(world)],
  ['spec: opposite edit', opposite],
  ['spec: paused', pause],
  ['spec: pod template', editImage],
  ['spec: volume size', grow],
  ['spec: invalid', invalid],
  ['spec: scaled to zero', zero],
  ['annotation restartedAt', (world) => annotated(world, 'restartedAt', String(world.nextId()))],
  ['kubectl rollout restart', rolloutRestart],
  [
    'annotation replace-member',
    (world) => annotated(world, 'replace-member', `${world.name}-${world.random.below(5)}`),
  ],
  ['annotation move-leader', (world) => annotated(world, 'move-leader', `${world.name}-${world.random.below(5)}`)],
]

function resize(world: World): boolean {
  return edited(world, { replicas: world.random.pick(SIZES.filter((size) => size !== world.wantedReplicas())) ?? 3 })
}

/** There and back: so soon that a step has just begun, or in the moment between its record and its first mutation. */
function opposite(world: World): boolean {
  const wanted = world.wantedReplicas()
  // Not to an invalid edit, which would then stay: a RaftCluster that is deleted with one keeps its volumes.
  const before = SIZES.includes(wanted) ? wanted : 3
  const back = (): void => world.edit({ replicas: before })
  if (world.random.chance(0.5)) world.schedule.after(5 + world.random.below(1500), back)
  else {
    world.onNextAddition = () => {
      back()
      for (const operator of world.operators.values()) if (operator.isLeader) operator.crash('crash as a step begins')
    }
  }
  return resize(world)
}

function pause(world: World): boolean {
  world.schedule.after(300 + world.random.below(5000), () => world.edit({ paused: false }))
  return edited(world, { paused: true })
}

/** Another one, or none any more. */
function editImage(world: World): boolean {
  return edited(world, { image: world.random.chance(0.2) ? {} : { tag: String(2 + world.random.below(5)) } })
}

/** Volumes only grow. */
function grow(world: World): boolean {
  const size = 10 + world.nextId()
  return edited(world, { storage: { ...at(world.cluster(), 'spec', 'storage'), size: `${size}Gi` } })
}

/** As an object that is older than the schema may be. */
function invalid(world: World): boolean {
  const before = world.random.pick(SIZES) ?? 3
  world.schedule.after(300 + world.random.below(5000), () => world.edit({ replicas: before }))
  return edited(world, { replicas: 2 })
}

/** And back, since nothing more can be seen of a cluster without pods. */
function zero(world: World): boolean {
  world.schedule.after(1000 + world.random.below(5000), () => world.edit({ replicas: world.random.pick(SIZES) ?? 3 }))
  return edited(world, { replicas: 0 })
}

/** Of the StatefulSet, as kubectl does it. */
function rolloutRestart(world: World): boolean {
  const set = world.server.get('StatefulSet', world.name)
  if (set === undefined) return false
  const restartedAt = String(world.nextId())
  world.log.add('user', `kubectl rollout restart ${restartedAt}`)
  const template = { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': restartedAt } } }
  const { apiVersion, kind } = set
  world.server.merge({ apiVersion, kind, metadata: { name: world.name }, spec: { template } })
  return true
}

/** It stays for some seconds, or for good. */
function annotated(world: World, name: string, value: string): boolean {
  if (world.cluster() === undefined) return false
  world.annotate(name, value)
  if (world.random.chance(0.5))
    world.schedule.after(2000 + world.random.below(4000), () => world.annotate(name, undefined))
  return true
}

function edited(world: World, change: Readonly<Record<string, unknown>>): boolean {
  if (world.cluster() === undefined) return false
  world.edit(change)
  return true
}
