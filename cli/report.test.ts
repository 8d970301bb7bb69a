import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KubectlFailed, type Kubectl } from './kubectl.ts'
import { reportFiles, withoutValues } from './report.ts'

test('a report has objects, events and logs, tells what it could not have, and no value of a variable', async () => {
  const asked: string[] = []
  const kubectl: Kubectl = {
    text: async (args) => {
      asked.push(args.join(' '))
      if (args.includes('--previous')) throw new KubectlFailed('previous terminated container not found')
      if (args[0] === 'logs') return 'a line\n'
      if (args.includes('--output=name')) return 'pod/db-0\npod/db-1\n'
      if (!args.includes('--output=json')) return 'text\n'
      const env = [
        { name: 'TOKEN', value: 'hunter2' },
        { name: 'REF', valueFrom: { secretKeyRef: { name: 's' } } },
      ]
      const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '"hunter2"', kept: 'yes' }
      return JSON.stringify({ metadata: { annotations, managedFields: [{}] }, spec: { containers: [{ env }] } })
    },
    show: async () => 1,
    start: () => assert.fail('nothing is started'),
  }
  const files = await reportFiles(kubectl, 'db')
  assert.deepEqual(
    files.map(({ name }) => name),
    ['raftcluster.json', 'objects.json', 'events.txt', 'version.txt', 'logs/db-0.txt', 'logs/db-0.previous.txt', 'logs/db-1.txt', 'logs/db-1.previous.txt'], // prettier-ignore
  )
  const text = files.map((file) => file.text).join('')
  assert.ok(!text.includes('hunter2'), text)
  assert.ok(text.includes('secretKeyRef') && text.includes('"kept": "yes"') && text.includes('TOKEN'))
  assert.ok(text.includes('not to be had: previous terminated container not found'))
  assert.ok(!asked.some((args) => /secret/i.test(args)), 'no Secret is asked for')
})

test('only lists of variables lose their values', () => {
  const spec = { env: [{ name: 'A', value: 'x' }], args: ['env'], list: [{ value: 1 }], none: null }
  assert.deepEqual(withoutValues(spec), { ...spec, env: [{ name: 'A', value: '(taken out)' }] })
})
