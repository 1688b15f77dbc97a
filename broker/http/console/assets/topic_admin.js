// Creating and deleting topics.
import {api, path} from './api.js';
import {field, h} from './dom.js';
import {go, link} from './router.js';
import {dialog, input, notice, select, toast} from './ui.js';

const DAY = 24 * 3600 * 1000;
const RETENTIONS = [['', 'The broker’s default'], [DAY, '1 day'], [7 * DAY, '7 days'],
  [30 * DAY, '30 days'], [365 * DAY, '1 year'], [-1, 'For ever']];

export function createTopic() {
  const name = input({maxlength: '249', required: true});
  const partitions = input({type: 'number', min: '1', max: '100000', value: '1'});
  const retention = select(RETENTIONS, '');
  const compact = h('input', {type: 'checkbox', id: 'new-topic-compact'});
  dialog('Create a topic', [
    field('Name', name, 'Letters, digits, dots, dashes and underscores.'),
    field('Partitions', partitions, 'How many consumers of a group can share the work. Can be ' +
      'raised later, never lowered.'),
    field('Keep records', retention),
    h('div', {class: 'check'}, compact, h('label', {for: compact.id},
      'Keep the newest record of each key only (compaction)')),
  ], {action: 'Create topic', send: async () => {
    const configs = {};
    if (retention.value) configs['retention.ms'] = retention.value;
    if (compact.checked) configs['cleanup.policy'] = 'compact';
    const body = {name: name.value.trim(), partitions: Number(partitions.value), configs};
    await api(path`/topics`, {method: 'POST', body});
    toast(`Created ${body.name}.`);
    go(link(['topics', body.name]));
  }});
}

export function deleteTopic(topic) {
  const name = input({required: true});
  dialog(`Delete ${topic}?`, [
    notice('warning', 'All its records go, for all consumers. This cannot be undone.'),
    field(`Type ${topic} to delete it`, name),
  ], {action: 'Delete topic', kind: 'danger', send: async () => {
    if (name.value !== topic) throw new Error('That is not its name. Nothing was deleted.');
    await api(path`/topics/${topic}`, {method: 'DELETE'});
    toast(`Deleted ${topic}.`);
    go(link(['topics']));
  }});
}
