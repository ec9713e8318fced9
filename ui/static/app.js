// Evenkeel's one script. Every page works without it; it adds what only a script can: live values, keyboard, memory, the browser's time zone.
(() => {
  'use strict';
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const memory = {
    get(key) { try { return JSON.parse(localStorage.getItem('evenkeel.' + key)) } catch { return null } },
    set(key, value) { try { localStorage.setItem('evenkeel.' + key, JSON.stringify(value)) } catch { /* private mode: forgotten, that is all */ } },
  };

  // Times: the appliance's zone stays in the title, the text becomes the browser's.
  const wall = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  const fine = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 });
  const span = seconds => {
    const d = Math.abs(seconds);
    if (d < 60) return Math.floor(d) + ' s';
    if (d < 3600) return Math.floor(d / 60) + ' min';
    if (d < 86400) return Math.floor(d / 3600) + ' h' + (Math.floor(d / 60) % 60 ? ' ' + Math.floor(d / 60) % 60 + ' min' : '');
    return Math.floor(d / 86400) + (d < 172800 ? ' day' : ' days');
  };
  const clock = at => new Date(at).toLocaleString(undefined, Math.abs(at - Date.now()) < 43200000 ? { hour: '2-digit', minute: '2-digit' } : { dateStyle: 'medium', timeStyle: 'short' });
  let ahead = 0; // how far the appliance's clock is ahead of the browser's, in seconds
  const tellTime = element => {
    const at = Date.parse(element.dateTime);
    if (Number.isNaN(at)) return;
    if (element.hasAttribute('data-clock')) { element.textContent = clock(at); return }
    if (element.hasAttribute('data-fine')) { element.textContent = fine.format(at); return }
    if (!element.hasAttribute('data-relative')) { element.textContent = wall.format(at); return }
    const distance = Date.now() / 1000 + ahead - at / 1000;
    const text = distance < -1 ? 'in ' + span(distance) : distance < 1 ? 'now' : span(distance) + ' ago';
    if (element.textContent !== text) element.textContent = text;
  };
  const tellTimes = within => all('time[datetime]', within).forEach(tellTime);

  // Folding: which services and sections are open is remembered by name.
  const folds = memory.get('folds') || {};
  const applyFolds = within => {
    all('input[data-fold]', within).forEach(box => { if (box.dataset.fold in folds) box.checked = folds[box.dataset.fold] });
  };
  const sections = memory.get('sections') || {};
  const applySections = () => all('details[data-section]').forEach(d => {
    if (!d.hasAttribute('data-keep') && sections[d.dataset.section]) d.open = true;
    d.addEventListener('toggle', () => { sections[d.dataset.section] = d.open; memory.set('sections', sections) });
  });
  document.addEventListener('change', event => {
    const box = event.target;
    if (!box.matches('input[data-fold]')) return;
    folds[box.dataset.fold] = box.checked;
    memory.set('folds', folds);
  });

  // Live values: the server sends the new inside of elements by their data-live name.
  const busy = element => element.contains(document.activeElement) && document.activeElement.matches('input,select,textarea');
  const waiting = new Map(); // what came for an element while somebody typed in it
  const patch = changes => {
    for (const [name, html] of Object.entries(changes)) {
      const element = $('[data-live="' + CSS.escape(name) + '"]');
      if (!element) continue;
      if (busy(element)) { waiting.set(name, html); continue }
      waiting.delete(name);
      const focused = element.contains(document.activeElement) ? all('a,button', element).indexOf(document.activeElement) : -1;
      const chosen = new Set(all('.choose:checked', element).map(box => box.value));
      element.innerHTML = html;
      all('.choose', element).forEach(box => { box.checked = chosen.has(box.value) });
      count();
      if (focused >= 0) all('a,button', element)[focused]?.focus();
      applyFolds(element);
      tellTimes(element);
    }
  };
  const count = () => { const bar = $('#chosen b'); if (bar) bar.textContent = all('.choose:checked').length + ' chosen' };
  document.addEventListener('change', count);
  document.addEventListener('reset', () => setTimeout(count));
  document.addEventListener('focusout', () => setTimeout(() => { if (waiting.size) patch(Object.fromEntries(waiting)) }, 200));
  const live = address => {
    const lamp = $('#live'), reload = $('#reload');
    const say = (word, lost) => {
      if (lamp) { lamp.hidden = false; lamp.classList.toggle('lost', lost); $('.word', lamp).textContent = word }
      if (reload) reload.hidden = !lost;
    };
    let stream, timer, pause = 1000;
    const open = () => {
      stream = new EventSource(address);
      stream.addEventListener('open', () => { pause = 1000; say('live', false) });
      stream.addEventListener('patch', event => patch(JSON.parse(event.data)));
      stream.addEventListener('clock', event => { ahead = Number(event.data) / 1000 - Date.now() / 1000 });
      stream.addEventListener('reload', () => location.reload());
      stream.addEventListener('ended', () => { stream.close(); location.href = '/lbadmin/sign-in' });
      stream.addEventListener('error', () => {
        say('reconnecting', true);
        if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
        stream.close();
        timer = setTimeout(open, pause);
        pause = Math.min(pause * 2, 15000);
      });
    };
    open();
    addEventListener('pagehide', () => { clearTimeout(timer); stream.close() });
    addEventListener('pageshow', event => { if (event.persisted) open() });
  };

  // Search: / and Ctrl-K jump to it; results appear while typing, arrows walk through them.
  const search = () => {
    const field = $('#search'), list = $('#search-found');
    if (!field) return;
    let latest = 0, timer;
    const links = () => all('a', list);
    const at = () => links().findIndex(a => a.classList.contains('at'));
    const mark = index => links().forEach((a, i) => { a.classList.toggle('at', i === index); if (i === index) a.scrollIntoView({ block: 'nearest' }) });
    const ask = async () => {
      const query = field.value.trim(), mine = ++latest;
      if (!query) { list.hidden = true; return }
      const answer = await fetch('/lbadmin/search?part=1&q=' + encodeURIComponent(query), { headers: { Accept: 'text/html' } }).catch(() => null);
      if (!answer || !answer.ok || answer.redirected || mine !== latest) return;
      list.innerHTML = await answer.text();
      list.hidden = false;
      mark(0);
    };
    field.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(ask, 90) });
    field.addEventListener('keydown', event => {
      const n = links().length;
      if (event.key === 'Escape') { list.hidden = true; field.blur() }
      if (list.hidden || !n) return;
      if (event.key === 'ArrowDown') { event.preventDefault(); mark((at() + 1) % n) }
      if (event.key === 'ArrowUp') { event.preventDefault(); mark((at() + n - 1) % n) }
      if (event.key === 'Enter' && at() >= 0) { event.preventDefault(); links()[at()].click() }
    });
    document.addEventListener('click', event => { if (!event.target.closest('.search')) list.hidden = true });
    document.addEventListener('keydown', event => {
      const typing = event.target.matches('input,textarea,select') || event.target.isContentEditable;
      if ((event.key === 'k' && (event.ctrlKey || event.metaKey)) || (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey)) {
        event.preventDefault();
        field.focus();
        field.select();
      }
    });
  };

  // The filter of the overview goes by itself, without leaving the field.
  const filter = () => {
    const field = $('#filter');
    if (!field) return;
    const show = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      all('tbody.service').forEach(body => { const text = body.textContent.toLowerCase(); body.hidden = !words.every(w => text.includes(w)) && !$('.choose:checked', body) });
    };
    if (field.defaultValue === '') field.addEventListener('input', show);
  };

  // Rows of real servers: a new one without a round trip.
  const rows = () => {
    const add = $('#add-row'), body = $('#server-rows');
    if (!add || !body) return;
    add.addEventListener('click', event => {
      const model = all('tr.server', body).at(-1);
      if (!model) return;
      event.preventDefault();
      const fresh = model.cloneNode(true), number = all('tr.server', body).length;
      all('[name]', fresh).forEach(field => {
        const cell = field.name.split('.').at(-1);
        if (field.tagName === 'BUTTON') { field.value = field.value.replace(/\d+$/, number); return }
        field.name = 'real_servers[' + number + '].' + cell;
        field.id = 'rs-' + number + '-' + cell;
        if (field.type === 'checkbox') field.checked = false;
        else field.value = cell === 'weight' ? '100' : '';
        field.removeAttribute('aria-invalid');
      });
      all('.answer', fresh).forEach(cell => { cell.textContent = '' });
      all('label', fresh).forEach(label => { label.htmlFor = label.htmlFor.replace(/^rs-\d+/, 'rs-' + number) });
      body.append(fresh);
      $('input:not([type=hidden])', fresh).focus();
    });
  };

  // What a mode cannot have is not offered; a choice that it cannot have becomes none or the first that it can have, and comes back with its mode. Rules stay as they are.
  const modes = () => {
    const mode = $('#protocol'), choices = all('select:has(option[data-not])');
    if (!mode) return;
    const misfit = option => option.dataset.not?.split(' ').includes(mode.value);
    const fit = () => choices.forEach(choice => {
      const options = all('option', choice), was = options.find(option => option.value === choice.dataset.was), now = choice.selectedOptions[0];
      options.forEach(option => { option.disabled = misfit(option) });
      const free = options.find(option => option.value === 'none') ?? options.find(option => !option.disabled);
      if (choice.closest('#rules')) return;
      if (was && !was.disabled && now === free) { choice.value = was.value; delete choice.dataset.was }
      else if (now?.disabled && free) { choice.dataset.was ??= now.value; free.selected = true }
    });
    mode.addEventListener('change', fit);
  };

  // Small comforts.
  const comforts = () => {
    document.addEventListener('click', event => all('details.menu-drop[open]').forEach(d => { if (!d.contains(event.target)) d.open = false }));
    document.addEventListener('keydown', event => {
      if (event.key !== 'Escape') return;
      all('details.menu-drop[open]').forEach(d => { d.open = false; $('summary', d).focus() });
      const drawer = $('#drawer');
      if (drawer) drawer.checked = false;
      const typed = event.target;
      if (typed.dataset?.initial !== undefined) { typed.value = typed.dataset.initial; typed.blur() }
    });
    document.addEventListener('submit', event => { // a second click while the first is under way does nothing
      const form = event.target;
      if (form.dataset.sent) { event.preventDefault(); return }
      if (form.method === 'post') form.dataset.sent = '1';
    });
    addEventListener('pageshow', () => all('form[data-sent]').forEach(form => { delete form.dataset.sent }));
  };

  const reload = $('#reload');
  if (reload) reload.hidden = true;
  count();
  applyFolds(document);
  applySections();
  tellTimes(document);
  setInterval(() => all('time[data-relative]').forEach(tellTime), 1000);
  search();
  filter();
  rows();
  modes();
  comforts();
  const address = document.body.dataset.events;
  if (address && window.EventSource) live(address);
})();
