/** Plays stages in rounds: A B A B …, so that what changes on the machine in time changes for both. */
import { Cluster, type Program } from '../test/limits/cluster.ts'
import type { Figures, Place, Stage, Step } from './stage.ts'
import { runLoad } from './tool.ts'

/** What each step came to with one server, one for each round in which it did not fail. */
export type Results = ReadonlyMap<Step['name'], readonly Figures[]>

export interface Played {
  readonly ours: Results
  readonly etcd: Results
  readonly failures: readonly string[]
}

export interface Plan {
  readonly stages: readonly Stage[]
  readonly ours: Program
  /** Undefined: ours alone. */
  readonly etcd: Program | undefined
  readonly rounds: number
  readonly place: Omit<Place, 'cluster'>
  readonly say: (line: string) => void
}

export async function play({ stages, ours, etcd, rounds, place, say }: Plan): Promise<Played> {
  const results = { ours: new Map<string, Figures[]>(), etcd: new Map<string, Figures[]>() }
  const failures: string[] = []
  // Stage by stage, so that the two that are compared are minutes apart, not an hour.
  for (const stage of stages)
    for (let round = 1; round <= rounds; round++)
      for (const program of etcd === undefined ? [ours] : [etcd, ours]) {
        const where = `${stage.name}, round ${round}, ${program.name}`
        say(where)
        await playStage(stage, program, place, (step, figures) => {
          const own = results[program.name]
          own.set(step.name, [...(own.get(step.name) ?? []), figures])
          say(`  ${step.name}: ${shown(figures)}`)
        }).catch((error: unknown) => {
          failures.push(`${where}: ${error instanceof Error ? error.message : String(error)}`)
        })
      }
  return { ...results, failures }
}

/** Ends at the first step that fails: the others stand on it. */
async function playStage(
  stage: Stage,
  program: Program,
  place: Omit<Place, 'cluster'>,
  note: (step: Step, figures: Figures) => void,
): Promise<void> {
  const cluster = await Cluster.start(program, stage)
  try {
    for (const step of stage.steps) {
      const here = { ...place, cluster }
      note(step, step.kind === 'load' ? await runLoad(here, step) : await step.run(here))
      if (cluster.lastOutput() !== '') throw new Error(`${step.name}: not all members have come through`)
    }
    const elections = stage.endsLeaders === true ? 0 : await cluster.elections()
    if (elections > 0) throw new Error(`${elections} elections: the figures of this round are of a cluster in unrest`)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(reason + cluster.lastOutput(), { cause: error })
  } finally {
    await cluster.close()
  }
}

const shown = (figures: Figures): string =>
  Object.entries(figures)
    .map(([name, value]) => `${name} ${value.toFixed(value < 10 ? 2 : 0)}`)
    .join(', ')
