/** What test/operator-simulation found in this folder, each made small. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formed, look } from './testing/convergence.ts'
import { Crash } from './testing/hooks.ts'
import type { World } from './testing/world.ts'

/** The operator ends when the change has been made, before it can say so in status. */
async function crashOnceChanged(world: World, isChanged: () => boolean): Promise<void> {
  const after = (): void => {
    if (isChanged()) throw new Crash()
  }
  for (let round = 0; round < 20 && !isChanged(); round++) {
    await look(world, { after })
    if (!isChanged()) world.tick()
  }
  assert(isChanged())
}

test('a member that was added and never written down keeps its pod while no leader answers', async () => {
  const world = await formed({ replicas: 1 })
  world.edit({ replicas: 3 })
  await crashOnceChanged(world, () => world.cluster.learners.length === 1)
  world.setReplicas(0)
  world.tick()
  assert.deepEqual(world.all('Pod'), [])
  await look(world)
  assert(world.replicas() >= 2, `kv-1 is a member, and the StatefulSet has ${world.replicas()} replicas`)
})

test('so does one that was about to be removed again', async () => {
  const world = await formed({ replicas: 1 })
  world.edit({ replicas: 3 })
  await crashOnceChanged(world, () => world.cluster.learners.length === 1)
  world.edit({ replicas: 1 })
  const before = (what: 'kube' | 'admin'): void => {
    if (what === 'admin') throw new Crash()
  }
  await look(world, { before })
  assert.deepEqual(Reflect.get(Object(world.status()['operation']), 'step'), 'RemoveMember')
  world.setReplicas(0)
  world.tick()
  await look(world)
  assert(world.replicas() >= 2, `kv-1 is a member, and the StatefulSet has ${world.replicas()} replicas`)
})
