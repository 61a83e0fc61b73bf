
// The picture that the node put before OHIF goes when OHIF has drawn what is on it, or as soon as
// somebody touches the page.
const FOR_SEGMENTATION_MS = 5000; // after the image; one that comes later is seen to come
const AT_MOST_MS = 60000;

const takeFirstPictureAway = () => document.getElementById('first-picture')?.remove();
const onceDrawn = () => requestAnimationFrame(() => setTimeout(takeFirstPictureAway));

function untilDrawn() {
  const picture = document.getElementById('first-picture');
  if (!picture) return;
  setTimeout(takeFirstPictureAway, AT_MOST_MS);
  picture.querySelector('img').addEventListener('error', takeFirstPictureAway);
  const isOnTheWayToItsLink = ({ target, key }) => key === 'Tab' || target.closest?.('#first-picture a');
  for (const touch of ['pointerdown', 'keydown', 'wheel'])
    addEventListener(touch, event => isOnTheWayToItsLink(event) || takeFirstPictureAway());
  const image = () =>
    picture.dataset.until === 'image'
      ? onceDrawn()
      : setTimeout(takeFirstPictureAway, FOR_SEGMENTATION_MS);
  document.addEventListener('CORNERSTONE_IMAGE_RENDERED', image, { capture: true, once: true });
}

function untilSegmentationIsDrawn() {
  const drawn = 'CORNERSTONE_TOOLS_SEGMENTATION_RENDERED';
  window.cornerstone.eventTarget.addEventListener(drawn, onceDrawn, { once: true });
}

addEventListener('DOMContentLoaded', untilDrawn);
