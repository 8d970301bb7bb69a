/** Seeds of large.ts until one goes wrong: ends with 1 then, with 0 when none does. For planted bugs. */
import { findWrong } from './large.ts'

const { tried, wrong } = await findWrong(2)
if (wrong !== undefined) {
  console.log(`CAUGHT after ${tried} ${tried === 1 ? 'seed' : 'seeds'}: ${wrong.slice(0, 150)}`)
  process.exitCode = 1
}
