/** How likely each fault of a call or of a watch is at this moment; probabilities in [0, 1]. */
export interface Faults {
  apiError: number
  throttle: number
  requestLost: number
  answerLost: number
  slow: number
  /** Somebody else writes the RaftCluster just before we do. */
  conflict: number
  watchBreak: number
  watchSilent: number
  watchLate: number
  memberRequestLost: number
  memberAnswerLost: number
  memberSlow: number
  crashAtCall: number
}

export const NO_FAULTS: Faults = {
  apiError: 0,
  throttle: 0,
  requestLost: 0,
  answerLost: 0,
  slow: 0,
  conflict: 0,
  watchBreak: 0,
  watchSilent: 0,
  watchLate: 0,
  memberRequestLost: 0,
  memberAnswerLost: 0,
  memberSlow: 0,
  crashAtCall: 0,
}
