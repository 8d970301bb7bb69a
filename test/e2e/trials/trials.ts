/**
 * What happens to clusters in their second year, one trial each: a namespace, a cluster and writers of its own. Trials run side
 * by side; one that fails leaves the others alone.
 */
import type { Kube } from '../cluster/kube.ts'
import { trialNamespace } from '../names.ts'
import type { Report } from '../report.ts'
import type { ScenarioOptions } from '../scenario/context.ts'
import { backUpAndRestore } from './backup.ts'
import { badImage } from './image.ts'
import { lostLearner } from './lost-learner.ts'
import { ownOperator } from './own-operator.ts'
import { charts } from './charts.ts'
import { monitoring } from './monitoring.ts'
import { Place } from './place.ts'
import { quorumLost } from './quorum-lost.ts'
import { refusedPods } from './refused.ts'
import { upgrade } from './upgrade.ts'
import { tlsOnAndOff } from './tls.ts'
import { drainGrowDelete } from './volume.ts'

interface Trial {
  readonly name: string
  /** `alone`: it changes the operator of all. `without`: it brings an operator, and no other may be there. */
  readonly when: 'beside' | 'alone' | 'without'
  readonly run: (place: Place) => Promise<void>
}

export const TRIALS: readonly Trial[] = [
  // The longest first: the others pass beside it.
  { name: 'tls', when: 'beside', run: tlsOnAndOff },
  { name: 'lost-learner', when: 'beside', run: lostLearner },
  { name: 'refused', when: 'beside', run: refusedPods },
  { name: 'backup', when: 'beside', run: backUpAndRestore },
  { name: 'charts', when: 'beside', run: charts },
  { name: 'monitoring', when: 'beside', run: monitoring },
  { name: 'quorum-lost', when: 'beside', run: quorumLost },
  { name: 'image', when: 'beside', run: badImage },
  { name: 'volume', when: 'beside', run: drainGrowDelete },
  { name: 'upgrade', when: 'alone', run: upgrade },
  { name: 'own-operator', when: 'without', run: ownOperator },
]

/** Three members each, and their writers: what two processors have room for. */
const SIDE_BY_SIDE = 2

export async function runTrials(
  report: Report,
  kube: Kube,
  options: ScenarioOptions,
  when: Trial['when'],
): Promise<void> {
  const waiting = TRIALS.filter(({ name, when: own }) => own === when && isChosen(options, name))
  /** Removals take a quarter of a minute of waiting each: the next trial begins meanwhile. */
  const removals: Promise<void>[] = []
  const lane = async (): Promise<void> => {
    for (let trial = waiting.shift(); trial !== undefined; trial = waiting.shift()) {
      const { name, run } = trial
      const place = new Place(report, kube, options, name)
      const isWell = await attempt(report, name, async () => {
        await place.make()
        await run(place)
      })
      // That of a trial that failed is left for the diagnostics.
      if (isWell) removals.push(attempt(report, name, () => place.remove()).then(() => undefined))
    }
  }
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, lane))
  await Promise.all(removals)
}

export function trialNamespaces(options: ScenarioOptions): readonly string[] {
  return TRIALS.filter(({ name }) => isChosen(options, name)).map(({ name }) => trialNamespace(name))
}

export function isChosen({ only }: ScenarioOptions, name: string): boolean {
  return only === undefined || only.includes(name)
}

/** Whether it came to its end. */
async function attempt(report: Report, name: string, work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    report.fail(`${name} ends here: ${error instanceof Error ? error.message : String(error)}`)
    return false
  }
}
