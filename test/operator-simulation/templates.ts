/**
 * Invariant 18: what members are made like changes only when somebody asks for another image, whatever release the operator is of;
 * and with each step of TLS, which asks for no image.
 */
import { SIDES } from '../../operator/api/tls.ts'
import type { StoredObject } from './api-server.ts'
import { at, isEqual, type Json, listAt, textAt } from './json.ts'
import { phaseIn } from './member-tls.ts'

export class Templates {
  /** spec.image when the StatefulSet was last applied. */
  #asked = ''
  #image = ''
  /** Of both sides, when it was. */
  #phases = ''

  reset(): void {
    this.#phases = ''
    this.#asked = ''
    this.#image = ''
  }

  /** What is wrong with an apply of the StatefulSet by an operator that has read `cluster`. */
  applied(cluster: StoredObject | undefined, body: Json, present: StoredObject | undefined): string | undefined {
    const pod = at(body, 'spec', 'template', 'spec')
    if (Object.keys(pod).length === 0) return undefined
    const [askedBefore, imageBefore, phasesBefore] = [this.#asked, this.#image, this.#phases]
    this.#asked = JSON.stringify(at(cluster, 'spec', 'image'))
    this.#image = textAt(listAt(pod, 'containers')[0], 'image')
    this.#phases = SIDES.map((side) => phaseIn(cluster, side)).join()
    const [claims, claimsBefore] = [body, present].map((set) => listAt(set, 'spec', 'volumeClaimTemplates'))
    if (present !== undefined && !isEqual(claims, claimsBefore)) return 'the claim template changes, which it cannot'
    if (askedBefore === '' || askedBefore !== this.#asked) return undefined
    if (imageBefore !== this.#image)
      return `members get ${this.#image} instead of ${imageBefore}, and nobody asked for it`
    if (phasesBefore !== this.#phases) return undefined
    const isSame = present === undefined || isEqual(pod, at(present, 'spec', 'template', 'spec'))
    return isSame ? undefined : 'pods are built differently, and nobody asked for another image'
  }
}
