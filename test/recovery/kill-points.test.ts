import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { createWorld, strikeEverywhere, type World } from './kill-points.ts'
import { STEPS } from './steps.ts'

let world: World
before(async () => void (world = await createWorld()))

for (const step of STEPS) {
  test(`${step.name}: a crash or a failure at any operation loses nothing that was promised`, async (t) => {
    const { killPoints, disks, checked, found, failures, ends } = await strikeEverywhere(world, step)
    t.diagnostic(
      `${killPoints} kill points, ${disks} disks, ${checked} different (${JSON.stringify(found)}), ${ends} of ${failures} failures ended it`,
    )
    assert.ok(killPoints > 0 && disks > 0 && failures > 0)
  })
}
