import { join } from 'node:path'

/** What the real kube-apiserver answered, by case: written by `npm run test:conformance -- --record`. */
export const RECORDED_FILE = join(import.meta.dirname, 'recorded', 'answers.json')
