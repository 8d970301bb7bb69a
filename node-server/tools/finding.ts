/** What an inspection found, in words for the person in front of it. */
export interface Finding {
  /** Otherwise it is worth knowing, and nothing has to be done. */
  readonly isDamage: boolean
  readonly what: string
  /** What to do about it. */
  readonly advice: string
}

/** The way out of damage to one member while the others are well. */
export const REPLACE_MEMBER =
  'remove the member from its cluster and add it again with an empty directory (the others bring it up to date); if it is the only one, restore a snapshot'

export function damage(what: string, advice = REPLACE_MEMBER): Finding {
  return { isDamage: true, what, advice }
}

export function note(what: string, advice = 'nothing'): Finding {
  return { isDamage: false, what, advice }
}
