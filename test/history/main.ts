/** `node test/history/main.ts FILE`: checks a history of JSON lines. `bench`: how long 10,000 operations of 10 clients take. */
import { readFileSync } from 'node:fs'
import { historyProblem } from './check.ts'
import { generate } from './generate.ts'
import { fromLines } from './json-lines.ts'

function bench(): void {
  for (const unknown of [0, 0.02, 0.05]) {
    const operations = generate({ seed: 1, operations: 10_000, clients: 10, unknown })
    const lost = operations.filter(({ outcome }) => outcome.kind === 'unknown').length
    const startedMs = performance.now()
    const problem = historyProblem({ operations, watches: [] })
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(2)
    console.log(
      `${operations.length} operations, ${lost} of unknown outcome: ${problem ?? 'linearizable'}, ${seconds} s`,
    )
  }
}

const [what] = process.argv.slice(2)
if (what === undefined) {
  console.error('usage: node test/history/main.ts FILE | bench')
  process.exitCode = 2
} else if (what === 'bench') bench()
else {
  const history = fromLines(readFileSync(what, 'utf8'))
  const problem = historyProblem(history)
  console.log(problem ?? `linearizable: ${history.operations.length} operations, ${history.watches.length} watches`)
  process.exitCode = problem === undefined ? 0 : 1
}
