/** Runs of one property until one goes wrong: ends with 1 then, with 0 when none does. For planted bugs. */
import { wrongWithLines } from '../../node-server/api/etcd/testing/lines-property.ts'
import { wrongWithUsers } from '../../node-server/mvcc/testing/users-property.ts'
import { wrongWithKeptUsers } from '../../operator/cluster/testing/users-property.ts'
import { wrongWithLessor } from '../../node-server/node/testing/lessor-property.ts'

const SEEDS = 20
const RUNS = 100

const [which] = process.argv.slice(2)
type Check = (runs: number, seed: number) => string | undefined | Promise<string | undefined>
const CHECKS: Readonly<Record<string, Check>> = {
  lessor: wrongWithLessor,
  lines: wrongWithLines,
  users: wrongWithUsers,
  'kept-users': wrongWithKeptUsers,
}
const check = CHECKS[which ?? ''] ?? wrongWithLines
for (let seed = 1; seed <= SEEDS; seed++) {
  const wrong = await check(RUNS, seed)
  if (wrong === undefined) continue
  const [what = ''] = wrong.replace(/^\w*Error.*?: /, '').split('\n')
  console.log(`CAUGHT after ${seed * RUNS} runs or fewer: ${what.slice(0, 150)}`)
  process.exit(1)
}
