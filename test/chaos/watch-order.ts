/**
 * What one watch of everything promises, held against what all of them together were told: in order, each revision once and
 * whole, none left out, nothing before its start, and progress told only of what was told before.
 */
import type { Watch, WatchResponse } from './record.ts'

/** `revisions`: all that made a change, ascending. */
export function checkWatch(watch: Watch, revisions: readonly number[]): readonly string[] {
  const problems: string[] = []
  const by = `a watch on ${watch.member} from revision ${watch.startRevision}, opened at ${watch.openedMs.toFixed(1)} ms,`
  const note = (problem: string): void => void problems.push(`${by} ${problem}`)
  const told = new Set<number>()
  let [lastEvent, lastHeader] = [0, 0]
  for (const [index, response] of watch.responses.entries()) {
    const { revision, events, isCreated, isCanceled } = response
    if (isCreated !== (index === 0)) note(isCreated ? 'is created twice' : 'begins without being created')
    if (isCreated && events.length > 0) note('has events in the answer to its creation')
    if (watch.responses[index - 1]?.isCanceled === true) note('goes on after its end')
    if (revision < lastHeader) note(`goes back from header revision ${lastHeader} to ${revision}`)
    lastHeader = Math.max(lastHeader, revision)
    const here = new Set(events.map(({ kv }) => kv.modRevision))
    for (const event of here) {
      if (event <= lastEvent) note(`tells revision ${event} after ${lastEvent}`)
      if (event < watch.startRevision) note(`tells revision ${event} from before its start`)
      if (event > revision) note(`tells revision ${event} under the header ${revision}`)
      told.add(event)
      lastEvent = Math.max(lastEvent, event)
    }
    if (isCanceled) checkEnd(watch, response, lastEvent, note)
  }
  const through = Math.max(lastEvent, ...watch.responses.filter(isProgress).map(({ revision }) => revision))
  const missed = revisions.filter((one) => one >= watch.startRevision && one <= through && !told.has(one))
  if (missed.length > 0) note(`is told of what came up to revision ${through}, but not of ${missed.join(', ')}`)
  return problems
}

function isProgress({ isCreated, isCanceled, events }: WatchResponse): boolean {
  return !isCreated && !isCanceled && events.length === 0
}

/** The server ends it for one reason only: what it should tell next is compacted. */
function checkEnd(
  { startRevision }: Watch,
  { compactRevision }: WatchResponse,
  lastEvent: number,
  note: (problem: string) => void,
): void {
  const next = Math.max(startRevision, lastEvent + 1)
  if (compactRevision <= next) note(`is ended at revision ${next} with compact revision ${compactRevision}`)
}
