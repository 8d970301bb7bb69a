/** Runs of the lines' property until one goes wrong: ends with 1 then, with 0 when none does. For planted bugs. */
import { wrongWithLines } from '../../node-server/api/etcd/testing/lines-property.ts'

const ROUNDS = 20
const RUNS = 100

for (let seed = 1; seed <= ROUNDS; seed++) {
  const wrong = await wrongWithLines(RUNS, seed)
  if (wrong === undefined) continue
  const [, what = wrong] = /Error(?: \[.*\])?: (.*)/.exec(wrong) ?? []
  console.log(`CAUGHT after ${seed} ${seed === 1 ? 'seed' : 'seeds'}: ${what.slice(0, 150)}`)
  process.exit(1)
}
