import { Coverage } from './coverage.ts'
import { outsideOfMicrotasks } from './microtasks.ts'
import { simulate } from './simulation.ts'

const [from = '1', count = '1', ms = '60000'] = process.argv.slice(2)
const total = new Coverage()
const t0 = process.cpuUsage()
for (let seed = Number(from); seed < Number(from) + Number(count); seed++) {
  const t = process.cpuUsage()
  const run = await outsideOfMicrotasks(() => simulate({ seed, faultMs: Number(ms) }))
  const u = process.cpuUsage(t)
  total.add(run.coverage.counts)
  console.log(
    seed,
    run.commits,
    run.calls.length,
    run.watches.length,
    ((u.user + u.system) / 1000).toFixed(0),
    'ms',
    run.failure?.error.message.split('\n')[0] ?? 'ok',
  )
  if (run.failure && Number(count) === 1) {
    console.log(run.failure.events.join('\n'))
    console.log(run.failure.error.stack)
    console.log(run.coverage.table())
  }
}
console.log(total.table())
const u = process.cpuUsage(t0)
console.log((u.user + u.system) / 1e6)
