import { before, test } from 'node:test'
import { DEEDS } from './deeds.ts'
import { meetEverywhere } from './interleavings.ts'
import { createWorld, type World } from './kill-points.ts'
import { BEFORE_DEEDS } from './steps.ts'

let world: World
const checked = new Set<string>()
before(async () => void (world = await createWorld()))

for (const first of DEEDS) {
  test(`${first.name}, and anything else beside it: the live store stays, and stays alone`, async (t) => {
    for (const second of DEEDS) {
      const schedules = await meetEverywhere(world, BEFORE_DEEDS, { first, second }, checked)
      t.diagnostic(`${second.name}: ${schedules} schedules, ${checked.size} different disks so far`)
    }
  })
}
