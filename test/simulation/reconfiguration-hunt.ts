/** Every case of reconfiguration.ts until one goes wrong: ends with 1 then, with 0 when none does. For planted bugs. */
import { findWrong } from './reconfiguration.ts'

const { tried, wrong } = await findWrong()
if (wrong !== undefined) {
  console.log(`CAUGHT after ${tried} ${tried === 1 ? 'case' : 'cases'}: ${wrong.slice(0, 150)}`)
  process.exitCode = 1
}
