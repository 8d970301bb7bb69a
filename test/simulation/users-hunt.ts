/** Seeds of users.ts until one goes wrong: ends with 1 then, with 0 when none does. For planted bugs. */
import { findWrong } from './users.ts'

const { tried, wrong } = await findWrong(16)
if (wrong !== undefined) {
  console.log(`CAUGHT after ${tried} ${tried === 1 ? 'seed' : 'seeds'}: ${wrong.slice(0, 150)}`)
  process.exitCode = 1
}
