/** Which of the steps run. Pure. */
import type { Stage, Step } from './stage.ts'

/**
 * Of each stage the steps that are asked for, by a name or a part of names, and what they stand on, which is what comes
 * before them. All but the very long when nothing is asked for.
 */
export function chosenStages(stages: readonly Stage[], only: readonly string[]): readonly Stage[] {
  const names = new Set(stages.flatMap(({ steps }) => steps.map(({ name }) => name)))
  const isChosen = (step: Step): boolean => {
    if (only.length === 0) return !(step.kind === 'look' && step.isExtra === true)
    return only.some((text) => (names.has(text) ? step.name === text : step.name.includes(text)))
  }
  return stages.flatMap((stage) => {
    const last = stage.steps.findLastIndex(isChosen)
    if (last === -1) return []
    const steps = stage.steps.filter((step, i) => i <= last && (step.isFoundation === true || isChosen(step)))
    return [{ ...stage, steps }]
  })
}
