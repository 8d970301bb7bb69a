/** When a row of probe results changes the verdict. Pure; thresholds are Kubernetes'. */

export interface ProbeState {
  readonly isPassing: boolean
  /** In a row, of the kind that `isPassing` is not. */
  readonly against: number
}

export interface Thresholds {
  readonly successThreshold: number
  readonly failureThreshold: number
}

/** A startup and a readiness probe begin as failing, a liveness probe as passing. */
export function beginProbe(isPassing: boolean): ProbeState {
  return { isPassing, against: 0 }
}

export function countProbe(state: ProbeState, hasPassed: boolean, thresholds: Thresholds): ProbeState {
  if (hasPassed === state.isPassing) return { ...state, against: 0 }
  const against = state.against + 1
  const needed = hasPassed ? thresholds.successThreshold : thresholds.failureThreshold
  return against >= needed ? { isPassing: hasPassed, against: 0 } : { ...state, against }
}
