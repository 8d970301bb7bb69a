/** All cases against one API server. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { Case, Target } from './case.ts'
import { RAFT_CLUSTERS } from './objects.ts'
import { untilServed } from './http-target.ts'

const CRD_FILE = join(import.meta.dirname, '..', '..', 'crds', 'raftclusters.raftkv.dev.yaml')

/** By the case's name: what was answered to each request, put to one form. */
export type Answers = Readonly<Record<string, readonly unknown[]>>

export async function runCases(target: Target, cases: readonly Case[]): Promise<Answers> {
  const body: unknown = parse(readFileSync(CRD_FILE, 'utf8'))
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  const created = await target.calls().send({ method: 'POST', path, body })
  if (created.status !== 201) throw new Error(`${target.name} refuses our CRD: ${JSON.stringify(created.body)}`)
  await untilServed(target, RAFT_CLUSTERS)
  const answers: Record<string, readonly unknown[]> = {}
  const runAll = async (some: readonly Case[]): Promise<void> => {
    for (const { name, run } of some) {
      const calls = target.calls()
      await run(calls)
      answers[name] = calls.answers
    }
  }
  await runAll(cases.filter(({ withControllers }) => withControllers !== true))
  await target.startControllers()
  await runAll(cases.filter(({ withControllers }) => withControllers === true))
  return answers
}
