/** Calls at an even rate, undisturbed and then under each attack on a port: what well-behaved clients get must not suffer. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { TARGETS } from './attacks.ts'

const MEASURED_MS = 3000
/** Answered later counts as not answered. */
export const DEADLINE_MS = 500
/** Of the calls that are answered undisturbed, so many are answered under attack. */
const LEAST_SHARE = 0.9
const PROGRAM = join(import.meta.dirname, 'attacker-process.ts')

export interface Attacked {
  readonly target: keyof typeof TARGETS
  readonly port: number
  readonly callsPerSecond: number
  /** The `i`th call; resolves whether it was answered. */
  readonly call: (i: number) => Promise<boolean>
  /** For the report. */
  readonly note: () => Promise<string>
}

/** False when one attack has done too much. */
export async function holdsOut(attacked: Attacked): Promise<boolean> {
  const { target, port, note } = attacked
  const attackers = fork(PROGRAM, [target, String(port)])
  try {
    await measure(attacked) // warm
    const undisturbed = await measure(attacked)
    console.log(`${target} port, undisturbed: ${describe(undisturbed)}`)
    let isCalm = true
    for (const { name } of TARGETS[target]) {
      await ask(attackers, name)
      const measured = await measure(attacked)
      await ask(attackers, '')
      const isGood = measured.answered >= undisturbed.answered * LEAST_SHARE
      isCalm &&= isGood
      console.log(`${isGood ? 'ok    ' : 'FAILED'} ${target} port, ${name}: ${describe(measured)}; ${await note()}`)
    }
    return isCalm
  } finally {
    attackers.disconnect()
  }
}

interface Measured {
  readonly answered: number
  readonly p99Ms: number
}

function describe({ answered, p99Ms }: Measured): string {
  return `${answered} answered, p99 ${p99Ms.toFixed(1)} ms`
}

async function measure({ callsPerSecond, call }: Attacked): Promise<Measured> {
  const times: number[] = []
  const calls: Promise<void>[] = []
  const startMs = performance.now()
  for (let i = 0; i < (callsPerSecond * MEASURED_MS) / 1000; i++) {
    const dueMs = startMs + (i * 1000) / callsPerSecond
    const waitMs = dueMs - performance.now()
    if (waitMs > 1) await sleep(waitMs)
    const beganMs = performance.now()
    calls.push(
      call(i).then((isAnswered) => {
        const tookMs = performance.now() - beganMs
        if (isAnswered && tookMs <= DEADLINE_MS) times.push(tookMs)
      }),
    )
  }
  await Promise.all(calls)
  times.sort((a, b) => a - b)
  return { answered: times.length, p99Ms: times[Math.floor(times.length * 0.99)] ?? Infinity }
}

export async function ask(child: ChildProcess, message: string): Promise<unknown> {
  child.send(message)
  const [answer] = await once(child, 'message')
  return answer
}
