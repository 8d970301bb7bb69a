/** How tests drive a world, and what a settled one looks like. */
import assert from 'node:assert/strict'
import { reconcile } from '../reconcile.ts'
import { Crash, type Hooks } from './hooks.ts'
import { field, KEY } from './objects.ts'
import { World } from './world.ts'

/** Looks once; a crash ends it like a process. */
export async function look(world: World, hooks: Hooks = {}): Promise<void> {
  try {
    await reconcile(world.deps(hooks), KEY)
  } catch (error) {
    if (!(error instanceof Crash)) throw error
  }
  await world.beside?.()
}

export async function converge(world: World, rounds = 120): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await look(world)
    world.tick()
    if (round > 2 && condition(world, 'Ready') === 'True' && condition(world, 'ScaleComplete') === 'True') break
  }
  // What follows readiness: volumes that are no longer needed.
  for (let round = 0; round < 6; round++) {
    await look(world)
    world.tick()
  }
}

/** Looks and lets time pass, whatever comes of it. */
export async function rounds(world: World, count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    await look(world)
    world.tick()
  }
}

export function reasonOf(world: World, type: string): string {
  return `${String(conditionOf(world, type)['reason'])}: ${String(conditionOf(world, type)['message'])}`
}

export function condition(world: World, type: string): unknown {
  return conditionOf(world, type)['status']
}

function conditionOf(world: World, type: string): Readonly<Record<string, unknown>> {
  const conditions: unknown = world.status()['conditions']
  const found: unknown = Array.isArray(conditions)
    ? conditions.find((one: { type: string }) => one.type === type)
    : undefined
  return field({ found }, 'found')
}

export const voterNames = ({ cluster }: World): readonly string[] =>
  cluster.members
    .filter(({ id }) => cluster.voters.includes(id))
    .map(({ name }) => name)
    .toSorted()

export const volumeNames = (world: World): readonly string[] =>
  world
    .all('PersistentVolumeClaim')
    .map(({ metadata }) => metadata.name)
    .toSorted()

export function assertSettledAt(world: World, replicas: number): void {
  const ordinals = Array.from({ length: replicas }, (_, ordinal) => ordinal)
  assert.deepEqual(
    voterNames(world),
    ordinals.map((ordinal) => `kv-${ordinal}`),
  )
  assert.deepEqual(world.cluster.learners, [])
  assert.equal(world.replicas(), replicas)
  assert.deepEqual(
    volumeNames(world),
    ordinals.map((ordinal) => `data-kv-${ordinal}`),
  )
  assert.equal(world.status()['operation'], undefined)
  assert.equal(condition(world, 'Ready'), 'True')
  assert.equal(condition(world, 'Progressing'), 'False')
  assert.equal(condition(world, 'Degraded'), 'False')
  assert.equal(world.clusterIds.size, 1)
}

export async function formed(spec: object = {}): Promise<World> {
  const world = new World({ replicas: 3, ...spec })
  await converge(world)
  return world
}
