/** Seeds one after the other until one fails: ends with 1 then, with 0 when none does. For planted bugs. */
import { runSeed } from './run-seed.ts'

const [count = '200'] = process.argv.slice(2)
for (let seed = 1; seed <= Number(count); seed++) {
  const { failure } = await runSeed(seed)
  if (failure === undefined) continue
  console.log(
    `CAUGHT after ${seed} ${seed === 1 ? 'seed' : 'seeds'}: ${failure.error.message.split('\n')[0]?.slice(0, 150)}`,
  )
  process.exit(1)
}
