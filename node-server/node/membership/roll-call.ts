/**
 * What must not rest on who was there a moment ago: the leader asks all members, and decides on those that have answered
 * since. The decision comes as soon as the answers allow one, after an election timeout at the latest.
 */
import { assert } from '../../../lib/assert.ts'
import { sleep } from '../../../lib/clock.ts'
import type { MemberId } from '../../../lib/ids.ts'
import type { RollCall } from '../../raft/raft.ts'
import type { NodeOptions } from '../options.ts'

const POLL_MS = 10

/** What it needs of the member. */
export interface RollCallHost {
  readonly options: Pick<NodeOptions, 'clock' | 'electionMs'>
  /** Asks all members whether they are there; undefined when this member does not lead. */
  callRoll(): RollCall | undefined
  /** Who has answered since, this member among them; undefined when it leads no more, or has lost and regained the lead. */
  answeredTo(roll: RollCall): ReadonlySet<MemberId> | undefined
}

/**
 * Calls `decide` again and again until it gives a decision; undefined is to wait for more answers, which it must not when
 * `isOver`. What it decides it also begins, in the same step: between the answers and what rests on them nothing may
 * happen. Undefined when this member does not lead, or ceases to.
 */
export async function duringRollCall<Decision>(
  host: RollCallHost,
  decide: (answered: ReadonlySet<MemberId>, isOver: boolean) => Decision | Promise<Decision> | undefined,
): Promise<Decision | undefined> {
  const { clock, electionMs } = host.options
  const deadlineMs = clock.monotonicMs() + electionMs
  const roll = host.callRoll()
  for (;;) {
    const answered = roll && host.answeredTo(roll)
    if (answered === undefined) return undefined
    const isOver = clock.monotonicMs() >= deadlineMs
    const decision = decide(answered, isOver)
    if (decision !== undefined) return decision
    assert(!isOver, 'a roll call ends with a decision')
    await sleep(clock, POLL_MS)
  }
}
