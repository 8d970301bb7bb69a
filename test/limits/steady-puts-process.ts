/** The process behind steady-puts.ts: says so once it has warmed up, and reports after `stop`. */
import { setTimeout as delay } from 'node:timers/promises'
import { PUT } from '../twin/methods.ts'
import { MemberClient } from './client.ts'
import type { PutsReport, SteadyPuts } from './steady-puts.ts'

const KEYS = 1000
/** Beyond it the next one waits; its time counts from when it was due. */
const MAX_IN_FLIGHT = 256
/** The first ones find code that is not compiled yet, here and there. */
const WARM_UP_PUTS = 100
const PUT_TIMEOUT_MS = 30_000

const [load = ''] = process.argv.slice(2)
const { address, perSecond, sizeBytes } = JSON.parse(load) as SteadyPuts
const client = new MemberClient(address)
const value = Buffer.alloc(sizeBytes, 'w')
const tookMs: number[] = []
let failed = 0
let next = 0

const put = (i: number): Promise<unknown> =>
  client.call(PUT, { key: Buffer.from(`steady/${i % KEYS}`), value }, PUT_TIMEOUT_MS)

async function putInTurn(startMs: number, isOver: AbortSignal): Promise<void> {
  for (;;) {
    const i = next++
    const dueMs = startMs + (i * 1000) / perSecond
    const aheadMs = dueMs - performance.now()
    if (aheadMs > 0) await delay(aheadMs, undefined, { signal: isOver }).catch(() => undefined)
    if (isOver.aborted) return
    await put(i).catch(() => failed++)
    tookMs.push(performance.now() - dueMs)
  }
}

const stop = new AbortController()
process.once('message', () => stop.abort())
process.once('disconnect', () => process.exit())
for (let i = 0; i < WARM_UP_PUTS; i++) await put(i).catch(() => undefined)
process.send?.('started')
const startMs = performance.now()
await Promise.all(Array.from({ length: MAX_IN_FLIGHT }, () => putInTurn(startMs, stop.signal)))
tookMs.sort((a, b) => a - b)
const report: PutsReport = {
  p99Ms: tookMs[Math.floor(tookMs.length * 0.99)] ?? Infinity,
  failed,
  perSecond: (tookMs.length * 1000) / (performance.now() - startMs),
}
process.send?.(report)
